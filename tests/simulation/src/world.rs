//! The world: time, chance, disks, who lives, and what is going to happen.
//!
//! Everything that happens does so in one order, on one thread. Within a moment processes take turns in an
//! order that the dice decide; when all of them wait, time moves to the next thing that is due.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use mesh::{
    BoxError, Clock, Hub,
    simulation::{Access, Delivery, Disk, Intake, Surroundings},
    store::StoreError,
};
use parking_lot::Mutex;
use tokio::{runtime::Handle, sync::oneshot};
use tonic::body::Body;

use crate::{
    broker::{self, Broker},
    bug::Bug,
    dice::Dice,
    faults::Faults,
    network,
    process::Role,
    provider::Books,
    trace::{Keep, Trace},
};

/// Wall-clock time at the start of every run, in seconds since 1970.
const START: i64 = 1_795_000_000;

/// Something that is going to happen.
pub type Event = Box<dyn FnOnce(&Arc<World>) + Send>;

/// What only the one who owns the runtimes can do.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    /// The process dies, and comes back after this time.
    Crash(usize, Duration),
    /// The process is started.
    Start(usize),
}

/// An order that a shopper was told of.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Who ordered.
    pub shopper: String,
    /// Id of the order.
    pub order_id: String,
}

/// How checkouts ended for those who made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Checkouts that ended, however.
    pub checkouts: u64,
    /// The shopper got an order.
    pub ordered: u64,
    /// The shop refused: out of stock, cart empty.
    pub refused: u64,
    /// The shopper gave up without an answer.
    pub unanswered: u64,
    /// Orders that their shoppers wanted to cancel.
    pub cancellations: u64,
    /// Times that a process died.
    pub crashes: u64,
}

/// One process as the world sees it.
#[derive(Debug)]
pub struct Member {
    pub(crate) clock: Clock,
    pub(crate) handle: Option<Handle>,
    pub(crate) hub: Option<Hub>,
    /// Counts the lives of the process.
    pub(crate) life: u64,
    pub(crate) has_work: bool,
    /// How far its wall clock is off, in seconds.
    pub(crate) skew: i64,
}

impl Member {
    /// Sets the wall clock so that it is off by `skew` seconds.
    pub(crate) fn set_clock(&mut self, skew: i64) {
        self.clock.step(TimeDelta::seconds(skew - self.skew));
        self.skew = skew;
    }
}

/// Everything that changes.
pub struct State {
    pub(crate) now: Duration,
    pub(crate) dice: Dice,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    pub(crate) members: Vec<Member>,
    pub(crate) disks: BTreeMap<String, Disk>,
    pub(crate) broker: Broker,
    pub(crate) books: Books,
    pub(crate) placed: Vec<Placed>,
    pub(crate) counts: Counts,
    pub(crate) bug: Option<Bug>,
    /// Invariants that were seen broken while the run went on.
    pub(crate) violations: Vec<String>,
    /// Shoppers who are not done.
    pub(crate) shopping: usize,
    /// Whether the carriers still have something to scan.
    pub(crate) carrying: bool,
    /// Whether faults have stopped.
    pub(crate) healing: bool,
    pub(crate) commands: Vec<Command>,
    pub(crate) calls: u64,
    schedule: BTreeMap<(Duration, u64), Event>,
    last_event: u64,
}

impl State {
    /// Adds a line to the trace.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, what);
    }

    /// Lets something happen after a while.
    pub(crate) fn after(
        &mut self,
        delay: Duration,
        event: impl FnOnce(&Arc<World>) + Send + 'static,
    ) {
        self.last_event += 1;
        let at = self.now.saturating_add(delay);
        self.schedule.insert((at, self.last_event), Box::new(event));
    }

    /// Whether the process is in this life.
    pub(crate) fn lives(&self, process: usize, life: u64) -> bool {
        let member = &self.members[process];
        member.life == life && member.handle.is_some()
    }

    pub(crate) fn wake(&mut self, process: usize) {
        self.members[process].has_work = true;
    }

    /// A disk that is there.
    pub(crate) fn disk(&self, role: Role) -> Disk {
        self.disks.get(role.name()).cloned().unwrap_or_default()
    }
}

/// The world.
pub struct World {
    state: Mutex<State>,
    folder: PathBuf,
    seed: u64,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("seed", &self.seed).finish()
    }
}

impl World {
    /// A world in which nothing has happened yet.
    pub fn new(seed: u64, keep: Keep, bug: Option<Bug>, folder: PathBuf) -> Arc<Self> {
        let members = Role::ALL
            .iter()
            .map(|_| Member {
                clock: Clock::manual(start()),
                handle: None,
                hub: None,
                life: 0,
                has_work: false,
                skew: 0,
            })
            .collect();
        Arc::new(Self {
            state: Mutex::new(State {
                now: Duration::ZERO,
                dice: Dice::new(seed),
                faults: Faults::default(),
                trace: Trace::new(keep),
                members,
                disks: BTreeMap::new(),
                broker: Broker::default(),
                books: Books::default(),
                placed: Vec::new(),
                counts: Counts::default(),
                bug,
                violations: Vec::new(),
                shopping: 0,
                carrying: false,
                healing: false,
                commands: Vec::new(),
                calls: 0,
                schedule: BTreeMap::new(),
                last_event: 0,
            }),
            folder,
            seed,
        })
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Looks at or changes the state. The closure must not call anybody who does so too.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Begins another life of a process, on `handle`.
    pub(crate) fn give_birth(self: &Arc<Self>, process: usize, handle: Handle) -> Place {
        self.with(|state| {
            let now = start() + TimeDelta::from_std(state.now).unwrap_or_default();
            let member = &mut state.members[process];
            member.life += 1;
            member.clock = Clock::manual(now);
            member.skew = 0;
            member.handle = Some(handle);
            member.has_work = true;
            Place {
                world: Arc::clone(self),
                process,
                life: member.life,
                clock: member.clock.clone(),
            }
        })
    }

    /// The process has started.
    pub(crate) fn is_up(&self, place: &Place, hub: Hub) {
        self.with(|state| {
            if state.lives(place.process, place.life) {
                state.note(format_args!("{} is up", place.name()));
                state.members[place.process].hub = Some(hub);
            }
        });
    }

    /// Ends the life of a process; what it has on disk stays.
    pub(crate) fn bury(&self, process: usize) {
        let name = Role::ALL[process].name();
        let (hub, disk) = self.with(|state| {
            state.note(format_args!("{name} dies"));
            state.counts.crashes += 1;
            let member = &mut state.members[process];
            member.handle = None;
            let hub = member.hub.take();
            state.broker.disconnect(process);
            for other in 0..state.members.len() {
                // Their calls to the dead are cut.
                state.wake(other);
            }
            (hub, state.disk(Role::ALL[process]))
        });
        disk.unmount();
        drop(hub);
    }

    /// The process whose turn it is, if any has something to do.
    pub(crate) fn pick(&self) -> Option<usize> {
        self.with(|state| {
            let waiting: Vec<usize> = (0..state.members.len())
                .filter(|process| state.members[*process].has_work)
                .collect();
            let picked = match waiting.as_slice() {
                [] => return None,
                [only] => *only,
                several => several[state.dice.index(several.len())],
            };
            state.members[picked].has_work = false;
            Some(picked)
        })
    }

    /// Moves time to the next thing that is due, but not beyond `limit`. Returns what happens then; nothing
    /// when the limit is reached or nothing is due at all.
    pub(crate) fn pass_time(&self, limit: Duration) -> Option<Vec<Event>> {
        self.with(|state| {
            let event = state.schedule.first_key_value().map(|((at, _), _)| *at);
            let sleeper = state
                .members
                .iter()
                .filter(|member| member.handle.is_some())
                .filter_map(|member| member.clock.next_wake())
                .min()
                .map(|wait| state.now.saturating_add(wait));
            let next = event.into_iter().chain(sleeper).min()?;
            if next > limit {
                return None;
            }
            let passed = next.saturating_sub(state.now);
            for member in state.members.iter_mut() {
                if member.handle.is_none() {
                    continue;
                }
                if member.clock.next_wake().is_some_and(|wait| wait <= passed) {
                    member.has_work = true;
                }
                member.clock.advance(passed);
            }
            state.now = next;
            let later = state
                .schedule
                .split_off(&(next + Duration::from_nanos(1), 0));
            let due = std::mem::replace(&mut state.schedule, later);
            Some(due.into_values().collect())
        })
    }

    /// Forgets what was going to happen, and everybody who would refer to this world.
    pub(crate) fn end(&self) {
        let (schedule, hubs) = self.with(|state| {
            let hubs: Vec<_> = state.members.iter_mut().map(|one| one.hub.take()).collect();
            state.broker = Broker::default();
            (std::mem::take(&mut state.schedule), hubs)
        });
        drop((schedule, hubs));
    }
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(START, 0).unwrap_or_default()
}

/// The world as one process sees it during one life.
#[derive(Clone)]
pub struct Place {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
    pub(crate) life: u64,
    pub(crate) clock: Clock,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("process", &self.name())
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// What becomes of an access to a store.
enum Fate {
    Fine,
    Fails,
    Dies,
}

impl Place {
    /// Name of the process.
    pub(crate) fn name(&self) -> &'static str {
        Role::ALL[self.process].name()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.world.folder
    }

    fn fate(&self, store: &str, access: Access) -> (Duration, Fate) {
        self.world.with(|state| {
            let faults = state.faults;
            let pause = if state.dice.hits(faults.store_slow) {
                state.dice.micros(100_000, 8_000_000)
            } else if access != Access::Read && state.dice.hits(250_000) {
                state.dice.micros(100, 4_000)
            } else {
                Duration::ZERO
            };
            let fate = match access {
                Access::Read | Access::Write if state.dice.hits(faults.store_refuses) => {
                    state.note(format_args!("{store} refuses a {access:?}"));
                    Fate::Fails
                }
                Access::Committed if state.dice.hits(faults.crash_at_commit) => {
                    state.note(format_args!("{store} commits, and its process dies of it"));
                    let down = state.dice.micros(100_000, 20_000_000);
                    state.commands.push(Command::Crash(self.process, down));
                    Fate::Dies
                }
                Access::Committed if state.dice.hits(faults.store_lies) => {
                    state.note(format_args!("{store} commits, and says that it failed"));
                    Fate::Fails
                }
                Access::Committed => {
                    state.note(format_args!("{store} commits"));
                    Fate::Fine
                }
                _ => Fate::Fine,
            };
            (pause, fate)
        })
    }
}

impl Surroundings for Place {
    fn disk(&self, name: &str) -> Disk {
        self.world
            .with(|state| state.disks.entry(name.to_owned()).or_default().clone())
    }

    fn access<'a>(
        &'a self,
        store: &'a str,
        access: Access,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        let (pause, fate) = self.fate(store, access);
        Box::pin(async move {
            if !pause.is_zero() {
                self.clock.sleep(pause).await;
            }
            match fate {
                Fate::Fine => Ok(()),
                Fate::Fails => Err(StoreError::Unavailable {
                    message: "the simulation wants it so".to_owned(),
                }),
                Fate::Dies => std::future::pending().await,
            }
        })
    }

    fn call(
        &self,
        target: &str,
        request: Request<Body>,
    ) -> BoxFuture<'static, Result<Response<Body>, BoxError>> {
        let place = self.clone();
        let target = target.to_owned();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let (answer, wait) = oneshot::channel();
            network::send(&place, &target, parts, body, answer);
            wait.await
                .unwrap_or_else(|_| Err(BoxError::from("the connection was cut")))
        })
    }

    fn publish(&self, delivery: Delivery) {
        broker::publish(self, delivery);
    }

    fn listen(&self, name: &'static str, event_types: &'static [&'static str], intake: Intake) {
        broker::listen(self, name, event_types, intake);
    }
}

//! One run: a seed becomes a world, the world becomes a verdict.

use std::{sync::Arc, time::Duration};

use crate::{
    bug::Bug,
    faults::Faults,
    invariants,
    process::{self, Process, Role},
    shop::{self, Shop},
    trace::Keep,
    world::{Command, Counts, World},
};

/// Checkouts that one shopper makes.
const ROUNDS: usize = 2;
/// Units that a checkout wants on average, times ten.
const DEMAND_TENTHS: usize = 30;
/// How much of the demand is on stock, in percent: the last units are fought for.
const STOCK_PERCENT: usize = 85;
/// Simulated time for which faults go on at most.
const CHAOS: Duration = Duration::from_secs(150);
/// Simulated time within which every saga has to end once faults have stopped.
const RECOVERY: Duration = Duration::from_secs(2 * 60 * 60);
/// How often the world is looked at while it recovers.
const LOOK: Duration = Duration::from_secs(5);

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Checkouts of the run.
    pub checkouts: usize,
    /// Whether anything goes wrong.
    pub weather: Weather,
    /// A bug to plant.
    pub bug: Option<Bug>,
}

/// Whether anything goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// Nothing does.
    Fair,
    /// What the seed draws.
    Drawn,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            checkouts: 250,
            weather: Weather::Drawn,
            bug: None,
        }
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// What became of checkouts and processes.
    pub counts: Counts,
    /// Hash of everything that happened.
    pub hash: u64,
    /// Steps that were recorded.
    pub steps: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// Invariants that do not hold.
    pub broken: Vec<String>,
    /// The last steps, when they are kept.
    pub tail: Vec<String>,
}

/// The machinery that drives a world.
struct Driver {
    world: Arc<World>,
    processes: Vec<Option<Process>>,
}

/// Simulates one seed.
///
/// # Errors
/// The machinery failed; whatever the services do wrong is in [`Run::broken`].
pub fn run(seed: u64, plan: Plan, keep: Keep) -> anyhow::Result<Run> {
    let folder = tempfile::tempdir()?;
    let world = World::new(seed, keep, plan.bug, folder.path().to_owned());
    let mut driver = Driver {
        processes: Role::ALL.iter().map(|_| None).collect(),
        world,
    };
    let verdict = driver.play(plan);
    let world = Arc::clone(&driver.world);
    driver.processes.clear();
    world.end();
    let broken = verdict?;
    Ok(world.with(|state| Run {
        seed,
        counts: state.counts,
        hash: state.trace.hash(),
        steps: state.trace.lines(),
        simulated: state.now,
        broken,
        tail: state.trace.tail().map(str::to_owned).collect(),
    }))
}

impl Driver {
    fn play(&mut self, plan: Plan) -> anyhow::Result<Vec<String>> {
        self.set_up(plan)?;
        self.world.with(|state| {
            if plan.weather == Weather::Drawn {
                state.faults = Faults::draw(&mut state.dice);
            }
            let faults = state.faults;
            state.note(format_args!("{faults:?}"));
            if let Some(bug) = plan.bug {
                bug.plant(state);
            }
        });
        let storm = self.world.with(|state| {
            state.after(Duration::from_secs(1), strike);
            state.now + CHAOS
        });
        self.let_in_shoppers(plan.checkouts)?;
        self.go_on(storm, |world| {
            world.with(|state| state.shopping == 0 || !state.violations.is_empty())
        })?;
        self.heal();
        self.settle()
    }

    /// Starts everybody and fills the shop, in fair weather.
    fn set_up(&mut self, plan: Plan) -> anyhow::Result<()> {
        for process in 0..self.processes.len() {
            self.start(process)?;
        }
        let limit = Duration::from_secs(60);
        self.go_on(limit, |world| {
            world.with(|state| state.members.iter().all(|member| member.hub.is_some()))
        })?;
        let shop = self.shop()?;
        let wanted = plan.checkouts * DEMAND_TENTHS / 10;
        let units = (wanted * STOCK_PERCENT / 100 / 12).max(2) as i64;
        let opened = self.spawn(0, async move { shop.open(units).await })?;
        self.go_on(limit * 2, |_| opened.is_finished())?;
        anyhow::ensure!(opened.is_finished(), "the shop does not open");
        match futures::executor::block_on(opened) {
            Ok(Ok(())) => {}
            Ok(Err(status)) => anyhow::bail!("the shop cannot be opened: {status}"),
            Err(error) => anyhow::bail!("the shop cannot be opened: {error}"),
        }
        self.world.with(|state| {
            Role::ALL
                .into_iter()
                .filter(|role| *role != Role::Edge)
                .try_for_each(|role| state.disk(role).batch(invariants::AUDIT))?;
            state
                .disk(Role::Payments)
                .batch(invariants::AUDIT_OF_PAYMENTS)
        })?;
        Ok(())
    }

    fn let_in_shoppers(&self, checkouts: usize) -> anyhow::Result<()> {
        let shoppers = checkouts.div_ceil(ROUNDS);
        self.world.with(|state| state.shopping = shoppers);
        for number in 0..shoppers {
            let rounds = ROUNDS.min(checkouts - number * ROUNDS);
            let shop = self.shop()?;
            self.spawn(0, shop.shop(number, rounds))?;
        }
        let carriers = self.shop()?;
        self.world.with(|state| state.carrying = true);
        self.spawn(0, carriers.carry())?;
        Ok(())
    }

    /// Stops the faults and brings back whoever is down.
    fn heal(&mut self) {
        self.world.with(|state| {
            state.note(format_args!("the faults stop"));
            state.faults = Faults::default();
            state.healing = true;
            for member in &mut state.members {
                member.set_clock(0);
            }
        });
    }

    /// Waits until every saga has ended, then says what is broken.
    fn settle(&mut self) -> anyhow::Result<Vec<String>> {
        let limit = self.world.with(|state| state.now) + RECOVERY;
        loop {
            let until = self.world.with(|state| state.now) + LOOK;
            self.go_on(until, |_| false)?;
            self.world.with(|state| {
                let rest = until.saturating_sub(state.now);
                state.after(rest, |_| {});
            });
            self.go_on(until, |world| world.with(|state| state.now >= until))?;
            let unrest = invariants::unrest(&self.world);
            let mut broken = Vec::new();
            match unrest {
                Some(_) if self.world.with(|state| !state.violations.is_empty()) => {}
                Some(unrest) if until >= limit => {
                    broken.push(format!("it never comes to rest: {unrest}"));
                }
                Some(_) => {
                    self.operate()?;
                    continue;
                }
                None => {}
            }
            broken.extend(invariants::broken(&self.world));
            return Ok(broken);
        }
    }

    /// What an operator does while the shop recovers.
    fn operate(&self) -> anyhow::Result<()> {
        let letters: Vec<_> = self.world.with(|state| {
            (1..state.members.len())
                .filter(|process| {
                    state
                        .disk(Role::ALL[*process])
                        .query("SELECT 1 FROM dead_letters LIMIT 1", &[])
                        .is_ok_and(|rows| !rows.is_empty())
                })
                .filter_map(|process| Some((process, state.members[process].hub.clone()?)))
                .collect()
        });
        for (process, hub) in letters {
            self.spawn(process, shop::replay_dead_letters(hub))?;
        }
        Ok(())
    }

    fn shop(&self) -> anyhow::Result<Shop> {
        let hub = self.world.with(|state| state.members[0].hub.clone());
        let hub = hub.ok_or_else(|| anyhow::anyhow!("the edge is not up"))?;
        Ok(Shop::new(Arc::clone(&self.world), hub))
    }

    fn spawn<T: Send + 'static>(
        &self,
        process: usize,
        task: impl Future<Output = T> + Send + 'static,
    ) -> anyhow::Result<tokio::task::JoinHandle<T>> {
        let handle = self.world.with(|state| {
            state.wake(process);
            state.members[process].handle.clone()
        });
        let handle = handle.ok_or_else(|| anyhow::anyhow!("a process is gone"))?;
        Ok(handle.spawn(task))
    }

    /// Lets things happen until `limit` or until `done`.
    fn go_on(&mut self, limit: Duration, done: impl Fn(&World) -> bool) -> anyhow::Result<()> {
        loop {
            while let Some(process) = self.world.pick() {
                if let Some(process) = &self.processes[process] {
                    process.turn();
                }
                self.obey()?;
            }
            if done(&self.world) {
                return Ok(());
            }
            let Some(events) = self.world.pass_time(limit) else {
                return Ok(());
            };
            for event in events {
                event(&self.world);
            }
            self.obey()?;
        }
    }

    fn obey(&mut self) -> anyhow::Result<()> {
        let commands = self.world.with(|state| std::mem::take(&mut state.commands));
        for command in commands {
            match command {
                Command::Crash(process, down) => {
                    if self.processes[process].take().is_none() {
                        continue;
                    }
                    self.world.bury(process);
                    self.world.with(|state| {
                        state.after(down, move |world| {
                            world.with(|state| state.commands.push(Command::Start(process)));
                        });
                    });
                }
                Command::Start(process) => self.start(process)?,
            }
        }
        Ok(())
    }

    fn start(&mut self, process: usize) -> anyhow::Result<()> {
        if self.processes[process].is_some() {
            return Ok(());
        }
        let runtime = Process::new()?;
        let place = self.world.give_birth(process, runtime.handle());
        let seed = self.world.with(|state| state.dice.next());
        let world = Arc::clone(&self.world);
        runtime.handle().spawn(async move {
            let clock = place.clock.clone();
            match process::start(Role::ALL[process], place.clone(), clock, seed).await {
                Ok(hub) => world.is_up(&place, hub),
                Err(error) => world.with(|state| {
                    state.note(format_args!("{} does not start: {error}", place.name()));
                    let pause = Duration::from_secs(1);
                    state.commands.push(Command::Crash(place.process, pause));
                }),
            }
        });
        self.processes[process] = Some(runtime);
        Ok(())
    }
}

/// What may strike a process by itself, every second until the faults stop.
fn strike(world: &Arc<World>) {
    world.with(|state| {
        if state.healing {
            return;
        }
        let faults = state.faults;
        for process in 1..state.members.len() {
            if state.dice.hits(faults.crash) {
                let down = state.dice.micros(100_000, 20_000_000);
                state.commands.push(Command::Crash(process, down));
            }
            if state.dice.hits(faults.clock_step) {
                let seconds = state.dice.below(20) as i64 - 10;
                let name = Role::ALL[process].name();
                state.note(format_args!("the clock of {name} is off by {seconds} s"));
                state.members[process].set_clock(seconds);
            }
        }
        state.after(Duration::from_secs(1), strike);
    });
}

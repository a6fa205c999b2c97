//! The network between processes: calls that are lost, slow, doubled, or executed without an answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, Full};
use mesh::{BoxError, simulation::serve_call};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tonic::body::Body;

use crate::{
    process::Role,
    world::{Place, State, World},
};

type Answer = Result<Response<Body>, BoxError>;

/// A call on its way. Its caller learns that the connection was cut when nobody holds the call any more.
struct Call {
    number: u64,
    from: usize,
    to: usize,
    parts: Parts,
    body: Bytes,
    answer: Mutex<Option<oneshot::Sender<Answer>>>,
}

impl Call {
    fn line(&self) -> String {
        format!(
            "call {} {} -> {}",
            self.number,
            Role::ALL[self.from].name(),
            self.parts.uri.path()
        )
    }

    fn settle(&self, world: &World, answer: Answer) {
        let waiting = self.answer.lock().take();
        if let Some(waiting) = waiting {
            // A caller that went away does not want the answer.
            let _ = waiting.send(answer);
            world.with(|state| state.wake(self.from));
        }
    }
}

/// Sends a call to the process that runs `target`.
pub(crate) fn send(
    place: &Place,
    target: &str,
    parts: Parts,
    body: Bytes,
    answer: oneshot::Sender<Answer>,
) {
    let to = Role::ALL.iter().position(|role| role.name() == target);
    place.world.with(|state| {
        state.calls += 1;
        let call = Arc::new(Call {
            number: state.calls,
            from: place.process,
            to: to.unwrap_or(usize::MAX),
            parts,
            body,
            answer: Mutex::new(Some(answer)),
        });
        if to.is_none() {
            // Agents and identity do not run here.
            return refuse(state, call);
        }
        let faults = state.faults;
        if state.dice.hits(faults.call_lost) {
            state.note(format_args!("{} is lost", call.line()));
            return lose(state, call);
        }
        let way = latency(state);
        let arriving = Arc::clone(&call);
        state.after(way, move |world| arrive(world, arriving));
        if state.dice.hits(faults.call_twice) {
            let way = state.dice.micros(1_000, 3_000_000);
            state.after(way, move |world| arrive(world, call));
        }
    });
}

fn latency(state: &mut State) -> Duration {
    let slow = state.faults.call_slow;
    if state.dice.hits(slow) {
        state.dice.micros(50_000, 6_000_000)
    } else {
        state.dice.micros(100, 1_500)
    }
}

/// The caller hears that the connection was reset, or nothing for a long time.
fn lose(state: &mut State, call: Arc<Call>) {
    if state.dice.hits(500_000) {
        refuse(state, call);
    } else {
        let silence = Duration::from_secs(40);
        state.after(silence, move |world| {
            call.settle(world, Err("the connection was cut".into()));
        });
    }
}

fn refuse(state: &mut State, call: Arc<Call>) {
    let way = state.dice.micros(100, 2_000);
    state.after(way, move |world| {
        call.settle(world, Err("the connection was refused".into()));
    });
}

fn arrive(world: &Arc<World>, call: Arc<Call>) {
    let served = world.with(|state| {
        let member = &state.members[call.to];
        let (Some(hub), Some(handle)) = (member.hub.clone(), member.handle.clone()) else {
            state.note(format_args!("{} finds nobody", call.line()));
            refuse(state, Arc::clone(&call));
            return None;
        };
        state.note(format_args!("{}", call.line()));
        state.wake(call.to);
        Some((hub, handle))
    });
    let Some((hub, handle)) = served else { return };
    let world = Arc::clone(world);
    handle.spawn(async move {
        let body = Body::new(Full::new(call.body.clone()));
        let request = Request::from_parts(call.parts.clone(), body);
        let (parts, body) = serve_call(&hub, request).await.into_parts();
        let answer = match body.collect().await {
            Ok(body) => Ok(Response::from_parts(parts, Body::new(body))),
            Err(error) => Err(BoxError::from(error)),
        };
        come_back(&world, call, answer);
    });
}

fn come_back(world: &Arc<World>, call: Arc<Call>, answer: Answer) {
    world.with(|state| {
        let code = match &answer {
            Ok(response) => response
                .headers()
                .get("grpc-status")
                .and_then(|code| code.to_str().ok())
                .unwrap_or("0")
                .to_owned(),
            Err(_) => "broken".to_owned(),
        };
        let faults = state.faults;
        if state.dice.hits(faults.answer_lost) {
            state.note(format_args!(
                "{} was done ({code}), its answer is lost",
                call.line()
            ));
            return lose(state, call);
        }
        state.note(format_args!("{} is answered {code}", call.line()));
        let way = latency(state);
        state.after(way, move |world| call.settle(world, answer));
    });
}

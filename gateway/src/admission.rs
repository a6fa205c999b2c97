//! What must be known before a request is served: whether its session has ended, whether its caller
//! has requests left, and of which generation shared answers are.
//!
//! Gateways of one installation answer these together, through Redis, with one script in one round
//! trip: the limits are exact however many gateways there are. While Redis is away, or too slow, or
//! full, each gateway answers alone. A caller then has a whole budget at each gateway, so in the worst
//! case (an outage that begins when the shared budget is used up) it gets as many budgets more as there
//! are gateways, once, and after that its rate at each of them. Sessions that ended are known from
//! events then, and what a gateway has not heard of lasts as long as an access token: 15 minutes.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use mesh::{Cache, Hub, Principal, cache::Redis, policy::RateClass};
use redis::Script;

use crate::{
    auth::Revocations,
    limits::{Charge, Limits, Standing, window_micros},
    shared_cache::{Generation, GenerationMark},
};

/// What a gateway remembers of what others told it, one of each per process.
pub struct Memory {
    /// Sessions that have ended.
    pub revocations: Revocations,
    /// The generation of shared answers.
    pub generation: GenerationMark,
}

impl Memory {
    /// The memory of this process.
    pub fn of(hub: &Hub) -> Arc<Self> {
        hub.belonging(|| Self {
            revocations: Revocations::new(hub.cache().clone(), hub.clock().clone()),
            generation: GenerationMark::new(
                hub.cache().clone(),
                hub.ids().clone(),
                hub.clock().clone(),
            ),
        })
    }
}

/// Answers for each request.
pub struct Admission {
    memory: Arc<Memory>,
    limits: Limits,
    cache: Cache,
    script: Script,
}

/// Who asks for what.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The RPC's rate class.
    pub class: RateClass,
    /// The caller.
    pub principal: &'a Principal,
    /// Where the caller is.
    pub address: IpAddr,
    /// The session of the caller's token; empty without one.
    pub session: &'a str,
    /// Whether the generation of shared answers matters.
    pub sharing: Sharing,
}

/// Whether a request can be answered with a shared answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// It can.
    Shared,
    /// It cannot.
    Own,
}

/// What is known about a request.
pub struct Verdict {
    /// Whether the session has ended. Nothing was taken out of any budget then.
    pub revoked: bool,
    /// What is left of the caller's budget; `None` where there is no limit.
    pub standing: Option<Standing>,
    /// The generation under which a shared answer is good.
    pub generation: Generation,
}

/// The script's answer.
type Answer = (u8, i8, u32, u64, Option<Bytes>);

impl Admission {
    /// Answers for the gateway of `hub`.
    pub fn new(hub: &Hub) -> Self {
        Self {
            memory: Memory::of(hub),
            limits: Limits::new(hub.limits(), hub.clock().clone()),
            cache: hub.cache().clone(),
            script: Script::new(include_str!("admission.lua")),
        }
    }

    /// Answers, and takes one request out of the caller's budget.
    pub async fn ask(&self, question: Question<'_>) -> Verdict {
        let charge = self
            .limits
            .charge(question.class, question.principal, question.address);
        if self.memory.revocations.has_heard_of(question.session) {
            return Verdict {
                revoked: true,
                standing: None,
                generation: Generation::unknown(),
            };
        }
        let needed =
            charge.is_some() || !question.session.is_empty() || question.sharing == Sharing::Shared;
        if let Some(redis) = self.cache.redis()
            && needed
            && let Some(verdict) = self.ask_redis(redis, &question, charge.as_ref()).await
        {
            return verdict;
        }
        Verdict {
            revoked: self.memory.revocations.is_kept_here(question.session).await,
            standing: charge.map(|charge| self.limits.draw(&charge)),
            generation: self.memory.generation.observe_alone(),
        }
    }

    async fn ask_redis(
        &self,
        redis: &Redis,
        question: &Question<'_>,
        charge: Option<&Charge<'_>>,
    ) -> Option<Verdict> {
        let connection = redis.connections();
        let mut invocation = self.script.prepare_invoke();
        invocation
            .key(self.cache.shared_key(&Revocations::key(question.session))?)
            .key(redis.key(GenerationMark::NAME))
            .key(redis.key(&charge.map_or_else(|| "limit:none".to_owned(), Charge::name)))
            .arg(charge.map_or(0, Charge::interval))
            .arg(window_micros());
        let (revoked, admitted, remaining, wait, generation): Answer = redis
            .ask(move |mut redis| async move { invocation.invoke_async(&mut redis).await })
            .await?;
        Some(Verdict {
            revoked: revoked == 1,
            standing: charge.map(|charge| match admitted {
                1 => charge.admitted(remaining),
                0 => charge.refused(Duration::from_micros(wait)),
                _ => self.limits.draw(charge),
            }),
            generation: match question.sharing {
                Sharing::Shared => self.memory.generation.observe(connection, generation).await,
                Sharing::Own => Generation::unknown(),
            },
        })
    }
}

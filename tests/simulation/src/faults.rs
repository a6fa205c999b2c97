//! What goes wrong how often.
//!
//! Each seed draws its own mixture, with some faults left out entirely (Groce et al., "Swarm testing",
//! 2012): a run in which everything fails at once hides the errors that need one part to work.

use crate::dice::Dice;

/// Rates of faults, in cases per million.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// A call does not reach its callee.
    pub call_lost: u32,
    /// A call is executed, and its answer does not come back.
    pub answer_lost: u32,
    /// A call takes seconds each way.
    pub call_slow: u32,
    /// A call arrives twice.
    pub call_twice: u32,
    /// A read or a transaction fails before it begins.
    pub store_refuses: u32,
    /// A transaction commits, and its caller is told that it did not.
    pub store_lies: u32,
    /// A store takes seconds.
    pub store_slow: u32,
    /// The connection to the broker is cut before a message arrives there.
    pub publish_lost: u32,
    /// The connection to the broker is cut before its confirmation arrives.
    pub confirm_lost: u32,
    /// The broker delivers a message twice.
    pub delivered_twice: u32,
    /// The broker delivers a message late, behind others.
    pub delivered_late: u32,
    /// An acknowledgement does not reach the broker.
    pub ack_lost: u32,
    /// A process dies right after a commit, before anybody knows of it.
    pub crash_at_commit: u32,
    /// A process dies when it happens to be looked at; drawn for each process every second.
    pub crash: u32,
    /// The wall clock of a process is set forward or back; drawn for each process every second.
    pub clock_step: u32,
    /// The payment provider takes seconds.
    pub provider_slow: u32,
    /// The payment provider fails without doing anything.
    pub provider_fails: u32,
    /// The payment provider does it, and answers with an error.
    pub provider_lies: u32,
    /// The payment provider does not know yet.
    pub provider_undecided: u32,
}

impl Faults {
    /// The mixture of a seed.
    pub fn draw(dice: &mut Dice) -> Self {
        let mut rate = |most: u64| -> u32 {
            match dice.below(4) {
                0 => 0,
                _ => dice.below(most) as u32,
            }
        };
        Self {
            call_lost: rate(40_000),
            answer_lost: rate(40_000),
            call_slow: rate(50_000),
            call_twice: rate(30_000),
            store_refuses: rate(15_000),
            store_lies: rate(15_000),
            store_slow: rate(10_000),
            publish_lost: rate(50_000),
            confirm_lost: rate(50_000),
            delivered_twice: rate(100_000),
            delivered_late: rate(100_000),
            ack_lost: rate(50_000),
            crash_at_commit: rate(600),
            crash: rate(10_000),
            clock_step: rate(5_000),
            provider_slow: rate(60_000),
            provider_fails: rate(60_000),
            provider_lies: rate(60_000),
            provider_undecided: rate(60_000),
        }
    }
}

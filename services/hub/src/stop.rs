//! Signals that end the process.
//!
//! They are listened for from the first moment: without a handler a process with number 1 (the usual one of
//! a container) does not hear SIGTERM at all, and one that comes between the start and the serving would be
//! lost.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and Ctrl-C. The first asks to finish, a second one means now.
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Starts to listen. From now on neither signal ends the process by itself.
    ///
    /// # Errors
    /// The system refuses the handler.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Completes at the next of the signals, or at once when one came since the last time.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

//! Who may try when.
//!
//! A write is first tried at once beside all others, which costs nothing as long as they touch different
//! rows. What lost against another one tries again in turn: on a hot row all the losers would otherwise
//! meet again, and again all but one would lose. What has lost several times even so waits until it is
//! alone in this process, so that only other processes can still get in its way.

use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Attempts after which a write runs alone.
const ALONE_AFTER: u32 = 3;

/// The order of the attempts of one store in this process.
#[derive(Debug, Default)]
pub(super) struct Turns {
    all: RwLock<()>,
    losers: Mutex<()>,
}

/// The right to make an attempt, given back when it is dropped.
#[derive(Debug)]
pub(super) enum Turn<'a> {
    Beside {
        _all: RwLockReadGuard<'a, ()>,
    },
    AmongLosers {
        _losers: MutexGuard<'a, ()>,
        _all: RwLockReadGuard<'a, ()>,
    },
    Alone {
        _all: RwLockWriteGuard<'a, ()>,
    },
}

impl Turns {
    /// Waits for the turn of attempt number `attempt`, from 0.
    pub(super) async fn take(&self, attempt: u32) -> Turn<'_> {
        match attempt {
            0 => Turn::Beside {
                _all: self.all.read().await,
            },
            1..ALONE_AFTER => Turn::AmongLosers {
                _losers: self.losers.lock().await,
                _all: self.all.read().await,
            },
            _ => Turn::Alone {
                _all: self.all.write().await,
            },
        }
    }

    /// Whether an attempt that fails next was alone, so that waiting is for others to finish.
    pub(super) fn is_alone(attempt: u32) -> bool {
        attempt >= ALONE_AFTER
    }
}

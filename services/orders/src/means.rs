//! What everything in this service needs: time, ids, rules, and who follows orders live.

use std::sync::Arc;

use chrono::SubsecRound;
use mesh::{Clock, Ids};

use crate::{cause::Cause, config::OrdersConfig, store::Moment, watch::Watchers};

/// Time, ids, rules, followers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) config: Arc<OrdersConfig>,
    pub(crate) watchers: Watchers,
}

impl Means {
    /// Now, because of `cause`.
    pub(crate) fn moment(&self, cause: Cause) -> Moment {
        Moment {
            // Stores keep microseconds; what is answered now is to be what is read later.
            now: self.clock.now().trunc_subsecs(6),
            ids: self.ids.clone(),
            cause,
            config: Arc::clone(&self.config),
            watchers: self.watchers.clone(),
        }
    }
}

//! Which traces are recorded.

/// `OTEL_TRACES_SAMPLER` with its argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampler {
    pub(super) root: Share,
    pub(super) parent: Parent,
}

/// What part of the traces is recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Share {
    All,
    None,
    /// From 0 to 1, chosen by trace id, so that all processes choose the same traces.
    Ratio(f64),
}

/// Whether the decision of a caller outside the mesh is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Followed,
    Ignored,
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            root: Share::All,
            parent: Parent::Followed,
        }
    }
}

impl Sampler {
    /// Reads the variables' values.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(name: Option<&str>, argument: Option<&str>) -> Result<Self, String> {
        let ratio = || match argument.map(str::trim).filter(|text| !text.is_empty()) {
            None => Ok(Share::Ratio(1.0)),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .map(Share::Ratio)
                .ok_or_else(|| {
                    format!("OTEL_TRACES_SAMPLER_ARG: {text:?} is not a number from 0 to 1")
                }),
        };
        let (root, parent) = match name {
            None | Some("parentbased_always_on") => (Share::All, Parent::Followed),
            Some("parentbased_always_off") => (Share::None, Parent::Followed),
            Some("parentbased_traceidratio") => (ratio()?, Parent::Followed),
            Some("always_on") => (Share::All, Parent::Ignored),
            Some("always_off") => (Share::None, Parent::Ignored),
            Some("traceidratio") => (ratio()?, Parent::Ignored),
            Some(other) => {
                return Err(format!(
                    "OTEL_TRACES_SAMPLER: {other:?} is not supported; every trace is recorded unless its caller says otherwise"
                ));
            }
        };
        Ok(Self { root, parent })
    }

    /// Whether a trace that starts here is recorded.
    pub(super) fn samples_root(&self, trace_id: u128) -> bool {
        match self.root {
            Share::All => true,
            Share::None => false,
            // The rule of OpenTelemetry's TraceIdRatioBased in its Go and Rust SDKs: 63 of the lower bits.
            Share::Ratio(ratio) => {
                let bound = (ratio * (1_u64 << 63) as f64) as u64;
                ((trace_id as u64) >> 1) < bound
            }
        }
    }

    /// Whether a trace that a caller outside the mesh has started is recorded here.
    pub(super) fn samples_entry(&self, trace_id: u128, parent_sampled: bool) -> bool {
        match self.parent {
            Parent::Followed => parent_sampled,
            Parent::Ignored => self.samples_root(trace_id),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_names_of_the_specification_are_read() {
        let read = |name, argument| Sampler::read(Some(name), argument).unwrap();
        assert_eq!(Sampler::read(None, None).unwrap(), Sampler::default());
        assert_eq!(read("parentbased_always_on", None), Sampler::default());
        assert!(!read("always_off", None).samples_entry(1, true));
        assert!(read("always_on", None).samples_entry(1, false));
        assert!(!read("parentbased_always_off", None).samples_root(1));
        assert!(read("parentbased_always_off", None).samples_entry(1, true));
        for (name, argument) in [("always", None), ("traceidratio", Some("2"))] {
            assert!(Sampler::read(Some(name), argument).is_err(), "{name}");
        }
    }

    #[test]
    fn a_ratio_takes_about_its_share() {
        let quarter = Sampler::read(Some("parentbased_traceidratio"), Some("0.25")).unwrap();
        let taken = (0..10_000)
            .filter(|_| quarter.samples_root(rand::random()))
            .count();
        assert!((2_200..2_800).contains(&taken), "{taken}");
        assert!(
            !Sampler::read(Some("traceidratio"), Some("0"))
                .unwrap()
                .samples_root(0)
        );
        assert!(
            Sampler::read(Some("traceidratio"), None)
                .unwrap()
                .samples_root(u128::MAX)
        );
    }
}

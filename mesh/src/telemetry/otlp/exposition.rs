//! Reads Prometheus' text format, as far as our own recorder writes it.

/// One metric with all its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Family<'a> {
    pub(super) name: &'a str,
    pub(super) help: &'a str,
    pub(super) kind: &'a str,
    pub(super) samples: Vec<Sample<'a>>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, String)>,
    pub(super) value: f64,
}

/// The metrics of a text, in its order. Lines that are none are left out.
pub(super) fn families(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            family(&mut families, name).help = help;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            family(&mut families, name).kind = kind;
        } else if let (Some(sample), Some(last)) = (sample(line), families.last_mut())
            && sample.name.starts_with(last.name)
        {
            last.samples.push(sample);
        }
    }
    families
}

/// The family that is being read, begun anew when the name changes.
fn family<'a, 'b>(families: &'b mut Vec<Family<'a>>, name: &'a str) -> &'b mut Family<'a> {
    let is_new = families.last().is_none_or(|last| last.name != name);
    if is_new {
        families.push(Family {
            name,
            ..Family::default()
        });
    }
    let last = families.len() - 1;
    &mut families[last]
}

fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, after) = rest.split_once("=\"")?;
            let (value, after) = quoted(after)?;
            labels.push((key.trim_start_matches(','), value));
            rest = after;
        }
    }
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// Text up to the closing quote, without escapes, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_recorder_writes_is_read() {
        let text = "# HELP a_total How many\n# TYPE a_total counter\na_total{x=\"1\",y=\"q\\\"\\\\\\n\"} 3\na_total 4\n\n\
                    # TYPE b_seconds histogram\nb_seconds_bucket{le=\"0.5\"} 1\nb_seconds_bucket{le=\"+Inf\"} 2\n\
                    b_seconds_sum 1.5\nb_seconds_count 2\n";
        let families = families(text);
        assert_eq!(families.len(), 2);
        assert_eq!(
            (families[0].name, families[0].help, families[0].kind),
            ("a_total", "How many", "counter")
        );
        assert_eq!(
            families[0].samples[0].labels,
            [("x", "1".to_owned()), ("y", "q\"\\\n".to_owned())]
        );
        assert_eq!(families[0].samples[1].value, 4.0);
        assert_eq!(families[1].samples.len(), 4);
        assert_eq!(families[1].samples[1].labels, [("le", "+Inf".to_owned())]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "(# (HELP|TYPE) )?[a-z{}\"=\\\\, 0-9\n]{0,60}") {
            let _ = families(&text);
        }
    }
}

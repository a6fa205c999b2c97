//! Finds the binding for a method and a path.
//!
//! The templates of all rules form a trie over segments. At each node a literal is tried before `*`
//! and `*` before `**`, so the most specific template wins, segment by segment from the left; when
//! that way leads nowhere the next one is tried. Every node is reached by one path only, so a match
//! visits each node at most once however hostile the path is. Variables play no part in matching:
//! since only a final `**` is of variable length, a capture is a range of segments.

use std::collections::BTreeMap;

use http::Method;

use crate::binding::Binding;
use crate::error::{BuildError, RouteError};
use crate::template::{Segment, Slashes, decode};

/// A binding that serves a request, with the values that its path captured.
#[derive(Debug, Clone)]
pub struct Match<'t> {
    pub(crate) binding: &'t Binding,
    pub(crate) captures: Vec<String>,
}

impl<'t> Match<'t> {
    /// The rule that matched.
    pub fn binding(&self) -> &'t Binding {
        self.binding
    }

    /// Field paths and decoded values of the captures, in the order of the template.
    pub fn captures(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.binding
            .captures
            .iter()
            .zip(&self.captures)
            .map(|(capture, value)| (capture.field_path.as_str(), value.as_str()))
    }
}

#[derive(Debug, Default)]
struct Node {
    literals: BTreeMap<String, usize>,
    one: Option<usize>,
    /// Rules that end here.
    here: Vec<Rule>,
    /// Rules whose `**` begins here.
    rest: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    verb: Option<String>,
    method: Option<Method>,
    binding: usize,
}

/// All templates, compiled.
#[derive(Debug)]
pub(crate) struct Router {
    nodes: Vec<Node>,
    verbs: Vec<String>,
}

/// The state of one search.
struct Search<'p> {
    method: &'p Method,
    verb: Option<&'p str>,
    allow: Vec<Method>,
}

impl Router {
    /// Compiles the templates of `bindings`.
    pub(crate) fn new(bindings: &[Binding]) -> Result<Self, BuildError> {
        let mut router = Self {
            nodes: vec![Node::default()],
            verbs: Vec::new(),
        };
        for (index, binding) in bindings.iter().enumerate() {
            router.insert(bindings, index, binding)?;
        }
        Ok(router)
    }

    fn insert(
        &mut self,
        all: &[Binding],
        index: usize,
        binding: &Binding,
    ) -> Result<(), BuildError> {
        let mut at = 0;
        let mut rest = false;
        for segment in binding.template.segments() {
            let fresh = self.nodes.len();
            let node = &mut self.nodes[at];
            at = match segment {
                Segment::Literal(text) => *node.literals.entry(text.clone()).or_insert(fresh),
                Segment::One => *node.one.get_or_insert(fresh),
                Segment::Rest => {
                    rest = true;
                    break;
                }
            };
            if at == fresh {
                self.nodes.push(Node::default());
            }
        }
        let rule = Rule {
            verb: binding.template.verb().map(str::to_owned),
            method: binding.http_method.clone(),
            binding: index,
        };
        let node = &mut self.nodes[at];
        let rules = if rest { &mut node.rest } else { &mut node.here };
        if let Some(other) = rules
            .iter()
            .find(|other| other.verb == rule.verb && other.method == rule.method)
        {
            return Err(BuildError::Conflict {
                first: all[other.binding].method_full_name().to_owned(),
                second: binding.method_full_name().to_owned(),
                verb: rule
                    .method
                    .map_or_else(|| "*".to_owned(), |method| method.to_string()),
                template: binding.template().to_owned(),
            });
        }
        if let Some(verb) = &rule.verb
            && !self.verbs.contains(verb)
        {
            self.verbs.push(verb.clone());
        }
        rules.push(rule);
        Ok(())
    }

    /// Finds the binding for a percent-encoded path without query.
    pub(crate) fn find<'t>(
        &self,
        bindings: &'t [Binding],
        method: &Method,
        path: &str,
    ) -> Result<Match<'t>, RouteError> {
        let (found, allow) = self.search(method, path)?;
        let Some((index, path)) = found else {
            return Err(if allow.is_empty() {
                RouteError::NotFound
            } else {
                RouteError::MethodNotAllowed { allow }
            });
        };
        let binding = &bindings[index];
        let captures = captures(binding, path).ok_or(RouteError::Malformed)?;
        Ok(Match { binding, captures })
    }

    /// The methods that the path takes, sorted by name.
    pub(crate) fn allowed(&self, path: &str) -> Vec<Method> {
        // No client can name this method and no rule is for it, so the search sees every rule.
        let Ok(nothing) = Method::from_bytes(b"-") else {
            return Vec::new();
        };
        let Ok((found, mut allow)) = self.search(&nothing, path) else {
            return Vec::new();
        };
        if found.is_some() {
            // A rule for any method.
            for method in [
                Method::GET,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ] {
                if !allow.contains(&method) {
                    allow.push(method);
                }
            }
        }
        sort(&mut allow);
        allow
    }

    /// The matching rule's binding with the path less its leading slash and verb, or the methods
    /// that would have matched.
    #[allow(clippy::type_complexity)]
    fn search<'p>(
        &self,
        method: &Method,
        path: &'p str,
    ) -> Result<(Option<(usize, &'p str)>, Vec<Method>), RouteError> {
        let path = path.strip_prefix('/').ok_or(RouteError::NotFound)?;
        let mut allow = Vec::new();
        // A template with a verb is more specific than one that takes the colon as part of a value.
        if let Some((head, verb)) = self.split_verb(path) {
            let mut search = Search {
                method,
                verb: Some(verb),
                allow,
            };
            let found = self.walk(0, Some(head), &mut search)?;
            if found.is_some() {
                return Ok((found.map(|index| (index, head)), search.allow));
            }
            allow = search.allow;
        }
        let mut search = Search {
            method,
            verb: None,
            allow,
        };
        let found = self.walk(0, Some(path), &mut search)?;
        sort(&mut search.allow);
        Ok((found.map(|index| (index, path)), search.allow))
    }

    fn split_verb<'p>(&self, path: &'p str) -> Option<(&'p str, &'p str)> {
        let (head, verb) = path.rsplit_once(':')?;
        self.verbs
            .iter()
            .any(|known| known == verb)
            .then_some((head, verb))
    }

    /// `rest` is what is left of the path, `None` after its last segment.
    fn walk(
        &self,
        at: usize,
        rest: Option<&str>,
        search: &mut Search<'_>,
    ) -> Result<Option<usize>, RouteError> {
        let node = &self.nodes[at];
        let Some(path) = rest else {
            return Ok(search.pick(&node.here).or_else(|| search.pick(&node.rest)));
        };
        let (segment, next) = match path.split_once('/') {
            Some((segment, next)) => (segment, Some(next)),
            None => (path, None),
        };
        if !node.literals.is_empty() {
            let child = if segment.contains('%') {
                let segment = decode(segment, Slashes::Decode).ok_or(RouteError::Malformed)?;
                node.literals.get(segment.as_str())
            } else {
                node.literals.get(segment)
            };
            if let Some(&child) = child
                && let Some(found) = self.walk(child, next, search)?
            {
                return Ok(Some(found));
            }
        }
        if segment.is_empty() {
            return Ok(None);
        }
        if let Some(child) = node.one
            && let Some(found) = self.walk(child, next, search)?
        {
            return Ok(Some(found));
        }
        if node.rest.is_empty() || path.split('/').any(str::is_empty) {
            return Ok(None);
        }
        Ok(search.pick(&node.rest))
    }
}

impl Search<'_> {
    /// The rule for the method, or else the rule for any; notes the methods of the others.
    fn pick(&mut self, rules: &[Rule]) -> Option<usize> {
        let mut any = None;
        for rule in rules {
            if rule.verb.as_deref() != self.verb {
                continue;
            }
            match &rule.method {
                Some(method) if method == self.method => return Some(rule.binding),
                Some(method) if !self.allow.contains(method) => self.allow.push(method.clone()),
                Some(_) => {}
                None => any = Some(rule.binding),
            }
        }
        any
    }
}

fn sort(methods: &mut [Method]) {
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
}

/// Cuts the captured ranges of segments out of `path` and decodes them.
fn captures(binding: &Binding, path: &str) -> Option<Vec<String>> {
    binding
        .template
        .variables()
        .iter()
        .map(|variable| {
            let open_ended = binding.template.segments()[variable.end - 1] == Segment::Rest;
            let from = segment_start(path, variable.start);
            let to = if open_ended {
                path.len()
            } else {
                // Less the slash before the next segment, if there is one.
                let next = segment_start(path, variable.end);
                if next > path.len() {
                    path.len()
                } else {
                    next - 1
                }
            };
            let raw = path.get(from..to).unwrap_or_default();
            let slashes = if variable.multi_segment {
                Slashes::Keep
            } else {
                Slashes::Decode
            };
            decode(raw, slashes)
        })
        .collect()
}

/// Where segment `index` starts; past the end of `path` when there are fewer.
fn segment_start(path: &str, index: usize) -> usize {
    if index == 0 {
        return 0;
    }
    path.bytes()
        .enumerate()
        .filter(|&(_, byte)| byte == b'/')
        .nth(index - 1)
        .map_or(path.len() + 1, |(at, _)| at + 1)
}

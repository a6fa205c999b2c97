//! Role by method: every RPC of the contract is called as every role, through gRPC and through REST, and
//! the answer is compared with the declared policy. Nothing here names an RPC: an RPC that is added to
//! the contract is in this test.

use bytes::{Buf, BufMut, Bytes};
use contracts::hub::options::v1::{Policy, Role};
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use reqwest::Method;
use serde_json::json;
use system_tests::{Answer, Api, Hub};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use crate::shared::{api, fresh_email};

/// Stands in for every captured part of a path: a good id of nothing.
const NOBODY: &str = "01890000-0000-7000-8000-000000000000";
/// Their success ends the caller's session or account, so they need one of their own.
const ENDS_SESSION: [&str; 2] = [
    "hub.identity.v1.LogoutRequest",
    "hub.identity.v1.DeleteMeRequest",
];
const OUTSIDERS: [Role; 5] = [
    Role::Anonymous,
    Role::Guest,
    Role::Customer,
    Role::Staff,
    Role::Admin,
];

/// One RPC as the contract declares it.
struct Rpc {
    path: String,
    policy: Policy,
    streaming: bool,
    ends_session: bool,
    bindings: Vec<Binding>,
}

/// One `google.api.http` rule.
struct Binding {
    method: Method,
    template: String,
    has_body: bool,
}

impl Rpc {
    fn of(method: &MethodDescriptor) -> Self {
        let policy = option(method, "hub.options.v1.policy")
            .map(|policy| policy.transcode_to::<Policy>().unwrap());
        let bindings =
            option(method, "google.api.http").map_or_else(Vec::new, |rule| bindings(&rule));
        Self {
            path: format!("/{}/{}", method.parent_service().full_name(), method.name()),
            policy: policy.unwrap_or_else(|| panic!("{} has no policy", method.full_name())),
            streaming: method.is_server_streaming(),
            ends_session: ENDS_SESSION.contains(&method.input().full_name()),
            bindings,
        }
    }

    fn admits(&self, role: Role) -> bool {
        role >= self.policy.role()
    }
}

fn rpcs() -> Vec<Rpc> {
    contracts::descriptor_pool()
        .services()
        .filter(|service| service.package_name().starts_with("hub."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| Rpc::of(&method))
        .collect()
}

fn option(method: &MethodDescriptor, name: &str) -> Option<DynamicMessage> {
    let extension = contracts::descriptor_pool()
        .get_extension_by_name(name)
        .unwrap();
    let options = method.options();
    if !options.has_extension(&extension) {
        return None;
    }
    match options.get_extension(&extension).as_ref() {
        Value::Message(message) => Some(message.clone()),
        other => panic!("{name} is {other:?}"),
    }
}

fn bindings(rule: &DynamicMessage) -> Vec<Binding> {
    let text = |name: &str| match rule.get_field_by_name(name).as_deref() {
        Some(Value::String(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    };
    let verbs = ["get", "put", "post", "delete", "patch"];
    let mut all: Vec<Binding> = verbs
        .into_iter()
        .filter(|verb| rule.has_field_by_name(verb))
        .map(|verb| Binding {
            method: verb.to_uppercase().parse().unwrap(),
            template: text(verb),
            has_body: !text("body").is_empty(),
        })
        .collect();
    if let Some(Value::List(more)) = rule.get_field_by_name("additional_bindings").as_deref() {
        all.extend(
            more.iter()
                .flat_map(|rule| bindings(rule.as_message().unwrap())),
        );
    }
    all
}

impl Binding {
    /// The template with every captured part filled.
    fn path(&self) -> String {
        let mut path = String::new();
        let mut rest = self.template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            path.push_str(before);
            path.push_str(NOBODY);
            rest = after.split_once('}').unwrap().1;
        }
        path + rest
    }
}

/// Messages as bytes: the calls send an empty one and never look at the answer.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}

/// How a call ended, as far as roles go.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The caller is nobody and should be somebody.
    Unauthenticated,
    /// The caller is somebody else than needed.
    Denied,
    /// The outside knows no such thing.
    Absent,
    /// Anything else: the role was let through.
    Admitted,
}

impl Verdict {
    fn expected(rpc: &Rpc, role: Role) -> Self {
        if rpc.policy.role() == Role::Service {
            Self::Absent
        } else if rpc.admits(role) {
            Self::Admitted
        } else if role == Role::Anonymous {
            Self::Unauthenticated
        } else {
            Self::Denied
        }
    }

    /// Handlers refuse tokens and passwords in requests with reasons of their own, so it is the reason
    /// that tells who refused.
    fn of_reason(reason: &str, otherwise: Self) -> Self {
        match reason {
            "UNAUTHENTICATED" => Self::Unauthenticated,
            "PERMISSION_DENIED" => Self::Denied,
            "UNIMPLEMENTED" | "ROUTE_NOT_FOUND" => Self::Absent,
            _ => otherwise,
        }
    }

    fn of_grpc(outcome: &Result<(), Status>) -> Self {
        let Err(status) = outcome else {
            return Self::Admitted;
        };
        let reason = status
            .get_details_error_info()
            .map(|info| info.reason)
            .unwrap_or_default();
        let verdict = Self::of_reason(&reason, Self::Admitted);
        let code = match verdict {
            Self::Unauthenticated => Some(Code::Unauthenticated),
            Self::Denied => Some(Code::PermissionDenied),
            Self::Absent => Some(Code::Unimplemented),
            Self::Admitted => None,
        };
        assert!(code.is_none_or(|code| code == status.code()), "{status:?}");
        assert!(!reason.is_empty(), "no reason in {status:?}");
        verdict
    }

    fn of_rest(answer: &Answer) -> Self {
        if answer.status.is_success() {
            return Self::Admitted;
        }
        let reason = answer.json["error"]["details"]["reason"]
            .as_str()
            .unwrap_or_default();
        let verdict = Self::of_reason(reason, Self::Admitted);
        let status = match verdict {
            Self::Unauthenticated => Some(401),
            Self::Denied => Some(403),
            Self::Absent => Some(404),
            Self::Admitted => None,
        };
        let as_status = answer.status.as_u16();
        assert!(
            status.is_none_or(|status| status == as_status),
            "{}",
            answer.text
        );
        assert!(
            !reason.is_empty(),
            "no reason in {as_status} {}",
            answer.text
        );
        verdict
    }
}

/// A caller of one role.
async fn sign_in(api: &Api, role: Role) -> Api {
    match role {
        Role::Anonymous => api.clone(),
        Role::Guest => api.guest().await,
        Role::Customer => api.sign_up(&fresh_email()).await,
        Role::Staff => api.demo("staff").await,
        Role::Admin => api.demo("admin").await,
        other => panic!("nobody outside is {other:?}"),
    }
}

async fn call_grpc(channel: &Channel, caller: &Api, rpc: &Rpc) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(Bytes::new());
    if let Some(token) = caller.token() {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let path = PathAndQuery::try_from(&rpc.path).unwrap();
    if rpc.streaming {
        let mut messages = grpc
            .server_streaming(request, path, Raw)
            .await?
            .into_inner();
        return messages.message().await.map(drop);
    }
    grpc.unary(request, path, Raw).await.map(drop)
}

async fn call_rest(caller: &Api, binding: &Binding) -> Answer {
    let request = caller.request(binding.method.clone(), &binding.path());
    let request = if binding.has_body {
        request.json(&json!({}))
    } else {
        request
    };
    Answer::to(request).await
}

#[tokio::test]
async fn every_rpc_admits_exactly_the_roles_that_its_policy_names() {
    let hub = Hub::start().await.unwrap();
    let api = hub.api();
    let endpoint = Endpoint::from_shared(api.url("")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    let rpcs = rpcs();
    assert!(rpcs.len() > 60, "the contract has only {} RPCs", rpcs.len());
    let (ending, lasting): (Vec<&Rpc>, Vec<&Rpc>) = rpcs.iter().partition(|rpc| rpc.ends_session);
    assert_eq!(ending.len(), ENDS_SESSION.len());

    let mut wrong = Vec::new();
    let mut calls = 0;
    let mut check = |face: &str, rpc: &Rpc, role: Role, verdict: Verdict, seen: String| {
        calls += 1;
        let expected = Verdict::expected(rpc, role);
        if verdict != expected {
            wrong.push(format!(
                "{face} {} as {role:?}: {verdict:?}, not {expected:?}: {seen}",
                rpc.path
            ));
        }
    };
    for role in OUTSIDERS {
        let caller = sign_in(&api, role).await;
        for rpc in &lasting {
            let outcome = call_grpc(&channel, &caller, rpc).await;
            check(
                "gRPC",
                rpc,
                role,
                Verdict::of_grpc(&outcome),
                format!("{outcome:?}"),
            );
            for binding in &rpc.bindings {
                let answer = call_rest(&caller, binding).await;
                check("REST", rpc, role, Verdict::of_rest(&answer), answer.text);
            }
            if rpc.policy.role() == Role::Service {
                let answer = caller.post(&rpc.path, json!({})).await;
                check("REST", rpc, role, Verdict::of_rest(&answer), answer.text);
            }
        }
    }
    for rpc in &ending {
        for role in OUTSIDERS {
            // Nobody can make staff from outside, so an account of staff that is deleted can be deleted
            // through one face only: another one for each of the two.
            let faces = if rpc.path.contains("DeleteMe") {
                (role != Role::Staff, role != Role::Admin)
            } else {
                (true, true)
            };
            if faces.0 {
                let caller = sign_in(&api, role).await;
                let outcome = call_grpc(&channel, &caller, rpc).await;
                check(
                    "gRPC",
                    rpc,
                    role,
                    Verdict::of_grpc(&outcome),
                    format!("{outcome:?}"),
                );
            }
            for binding in rpc.bindings.iter().filter(|_| faces.1) {
                let caller = sign_in(&api, role).await;
                let answer = call_rest(&caller, binding).await;
                check("REST", rpc, role, Verdict::of_rest(&answer), answer.text);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {calls} calls:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test]
async fn every_rpc_has_its_routes_in_the_openapi_document_or_says_why_not() {
    let document = api().await.get("/openapi.json").await.expect(200);
    let mut routes = 0;
    for rpc in rpcs() {
        assert!(
            rpc.policy.role() != Role::Unspecified,
            "{} admits nobody",
            rpc.path
        );
        let reason = &rpc.policy.no_rest_reason;
        assert_eq!(
            rpc.bindings.is_empty(),
            !reason.is_empty(),
            "{}: {reason:?}",
            rpc.path
        );
        for binding in &rpc.bindings {
            let verb = binding.method.as_str().to_lowercase();
            let operation = &document["paths"][&binding.template][&verb];
            assert!(
                operation.is_object(),
                "{verb} {} is not documented",
                binding.template
            );
            routes += 1;
        }
    }
    let verbs = ["get", "put", "post", "delete", "patch"];
    let documented: usize = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(path, _)| !path.starts_with("/health") && *path != "/metrics")
        .map(|(_, path)| verbs.iter().filter(|verb| path[**verb].is_object()).count())
        .sum();
    assert_eq!(
        documented, routes,
        "the document has routes that the contract has not"
    );
}

//! `AgentService`: any agent in one form.
//!
//! An invocation becomes a call of the agent's typed RPC through the mesh, as the same caller. Policy,
//! validation and deadline of that RPC therefore hold here too, and there is no second way to an answer.

use std::{pin::Pin, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use contracts::{
    descriptor_pool,
    hub::agents::v1::{
        AgentDescription, AnswerNotes, InvokeRequest, InvokeResponse, InvokeStreamRequest,
        InvokeStreamResponse, ListAgentsRequest, ListAgentsResponse,
        agent_service_server::AgentService,
    },
};
use futures::Stream;
use http_body_util::{BodyExt, Full};
use mesh::{CallContext, Channel, Failure, Reason};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, MethodDescriptor, SerializeOptions};
use prost_types::Struct;
use serde_json::{Map, Value};
use tonic::{Request, Response, Status, body::Body};

use super::{
    agent::{Agent, Operation},
    structs::{from_struct, to_struct},
};

/// Largest answer of an agent that is translated, in bytes.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Bytes before a message in a gRPC frame: compression flag and length.
const FRAME_PREFIX: usize = 5;
/// Field of `input` that names the operation.
const OPERATION: &str = "operation";

/// Answers `AgentService`.
#[derive(Clone)]
pub struct InvokeHandler {
    agents: Arc<[Box<dyn Agent>]>,
    channel: Channel,
}

/// A question in either form.
struct Question {
    service_name: String,
    words: String,
    input: Map<String, Value>,
}

/// An answer, translated.
struct Answer {
    agent: &'static str,
    operation: &'static str,
    result: Value,
    notes: AnswerNotes,
    summary: String,
}

impl InvokeHandler {
    /// Over these agents, whose RPCs `channel` reaches.
    pub fn new(agents: Vec<Box<dyn Agent>>, channel: Channel) -> Self {
        Self {
            agents: agents.into(),
            channel,
        }
    }

    async fn answer(&self, ctx: &CallContext, question: Question) -> Result<Answer, Status> {
        let agent = self.find(&question.service_name)?;
        let Question {
            words, mut input, ..
        } = question;
        let operation = operation(agent, &mut input)?;
        let mut fields = agent.ask(operation, &words);
        fields.extend(input);
        let method = method(operation)?;
        let request = read(&method, fields)?;
        let reply = self.call(ctx, operation, request).await?;
        let (result, notes) = write(&method, &reply)?;
        Ok(Answer {
            agent: agent.names().first().copied().unwrap_or_default(),
            operation: operation.name,
            summary: agent.summarise(operation, &result),
            result,
            notes,
        })
    }

    fn find(&self, name: &str) -> Result<&dyn Agent, Failure> {
        self.agents
            .iter()
            .find(|agent| agent.names().contains(&name))
            .map(|agent| &**agent)
            .ok_or_else(|| Failure::not_found("agent", name))
    }

    async fn call(
        &self,
        ctx: &CallContext,
        operation: &Operation,
        message: Vec<u8>,
    ) -> Result<Bytes, Status> {
        let mut request = http::Request::new(Body::new(Full::new(frame(&message)?)));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static(operation.method);
        let headers = request.headers_mut();
        headers.insert(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static("application/grpc"),
        );
        headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        request.extensions_mut().insert(ctx.clone());
        let response = self.channel.dispatch(request).await;
        if let Some(status) = Status::from_header_map(response.headers())
            && status.code() != tonic::Code::Ok
        {
            return Err(status);
        }
        let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|error| Failure::internal(error.to_string()))?;
        if let Some(status) = body.trailers().and_then(Status::from_header_map)
            && status.code() != tonic::Code::Ok
        {
            return Err(status);
        }
        let bytes = body.to_bytes();
        if bytes.len() < FRAME_PREFIX {
            return Err(Failure::internal("an agent answered without a message").into());
        }
        Ok(bytes.slice(FRAME_PREFIX..))
    }
}

#[tonic::async_trait]
impl AgentService for InvokeHandler {
    async fn invoke(
        &self,
        request: Request<InvokeRequest>,
    ) -> Result<Response<InvokeResponse>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let session_id = request.session_id;
        let question = Question {
            service_name: request.service_name,
            words: last_words(request.messages),
            input: request.input.map(from_struct).unwrap_or_default(),
        };
        let answer = self.answer(&ctx, question).await?;
        Ok(Response::new(InvokeResponse {
            agent: answer.agent.to_owned(),
            operation: answer.operation.to_owned(),
            result: Some(object(answer.result)),
            summary: answer.summary,
            notes: Some(answer.notes),
            session_id,
        }))
    }

    type InvokeStreamStream =
        Pin<Box<dyn Stream<Item = Result<InvokeStreamResponse, Status>> + Send>>;

    async fn invoke_stream(
        &self,
        request: Request<InvokeStreamRequest>,
    ) -> Result<Response<Self::InvokeStreamStream>, Status> {
        let ctx = CallContext::of(&request);
        let request = request.into_inner();
        let question = Question {
            service_name: request.service_name,
            words: last_words(request.messages),
            input: request.input.map(from_struct).unwrap_or_default(),
        };
        let answer = self.answer(&ctx, question).await?;
        let pieces = [
            InvokeStreamResponse {
                event: "result".to_owned(),
                result: Some(object(answer.result)),
                ..InvokeStreamResponse::default()
            },
            InvokeStreamResponse {
                event: "notes".to_owned(),
                notes: Some(answer.notes),
                ..InvokeStreamResponse::default()
            },
            InvokeStreamResponse {
                event: "done".to_owned(),
                summary: answer.summary,
                ..InvokeStreamResponse::default()
            },
        ];
        Ok(Response::new(Box::pin(futures::stream::iter(
            pieces.map(Ok),
        ))))
    }

    async fn list_agents(
        &self,
        _request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        let items = self.agents.iter().map(|agent| describe(&**agent)).collect();
        Ok(Response::new(ListAgentsResponse { items }))
    }
}

fn describe(agent: &dyn Agent) -> AgentDescription {
    AgentDescription {
        name: agent
            .names()
            .first()
            .copied()
            .unwrap_or_default()
            .to_owned(),
        purpose: agent.purpose().to_owned(),
        algorithm: agent.algorithm().to_owned(),
        operations: agent
            .operations()
            .iter()
            .map(|operation| format!("{}: {}", operation.name, operation.reads))
            .collect(),
    }
}

/// What the user said last.
fn last_words(messages: Vec<contracts::hub::agents::v1::ChatMessage>) -> String {
    messages
        .into_iter()
        .rev()
        .find(|message| message.role == "user")
        .map(|message| message.content)
        .unwrap_or_default()
}

/// The operation that `input.operation` names, or the agent's first.
fn operation<'a>(
    agent: &'a dyn Agent,
    input: &mut Map<String, Value>,
) -> Result<&'a Operation, Failure> {
    let operations = agent.operations();
    let unknown = || {
        let names: Vec<&str> = operations.iter().map(|operation| operation.name).collect();
        Failure::invalid(
            "input.operation",
            format!("must be one of {}", names.join(", ")),
        )
    };
    match input.remove(OPERATION) {
        None => operations.first().ok_or_else(unknown),
        Some(wanted) => operations
            .iter()
            .find(|operation| wanted == operation.name)
            .ok_or_else(unknown),
    }
}

fn method(operation: &Operation) -> Result<MethodDescriptor, Failure> {
    let (service, name) = operation
        .method
        .trim_start_matches('/')
        .split_once('/')
        .unwrap_or_default();
    descriptor_pool()
        .get_service_by_name(service)
        .and_then(|service| service.methods().find(|method| method.name() == name))
        .ok_or_else(|| Failure::internal(format!("the contracts have no {}", operation.method)))
}

/// The wire form of the RPC's request; what does not fit is the caller's error.
fn read(method: &MethodDescriptor, fields: Map<String, Value>) -> Result<Vec<u8>, Failure> {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    DynamicMessage::deserialize_with_options(method.input(), Value::Object(fields), &options)
        .map(|message| message.encode_to_vec())
        .map_err(|error| Failure::invalid("input", error.to_string()))
}

/// Result and notes of a reply. Replies without notes of their own are the result as a whole.
fn write(method: &MethodDescriptor, reply: &[u8]) -> Result<(Value, AnswerNotes), Failure> {
    let message = DynamicMessage::decode(method.output(), reply).map_err(Failure::internal)?;
    let notes = message
        .get_field_by_name("notes")
        .and_then(|notes| AnswerNotes::decode(notes.as_message()?.encode_to_vec().as_slice()).ok())
        .unwrap_or_default();
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false)
        .stringify_64_bit_integers(false);
    let mut json = message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .map_err(Failure::internal)?;
    let result = match json.get_mut("result") {
        Some(result) => result.take(),
        None => json,
    };
    Ok((result, notes))
}

fn object(value: Value) -> Struct {
    match value {
        Value::Object(fields) => to_struct(fields),
        _ => Struct::default(),
    }
}

/// The message as one uncompressed gRPC frame.
fn frame(message: &[u8]) -> Result<Bytes, Failure> {
    let length = u32::try_from(message.len())
        .map_err(|_| Failure::new(Reason::PayloadTooLarge, "the input is too large"))?;
    let mut frame = BytesMut::with_capacity(FRAME_PREFIX + message.len());
    frame.put_u8(0);
    frame.put_u32(length);
    frame.put_slice(message);
    Ok(frame.freeze())
}

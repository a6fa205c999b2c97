//! Services that every target has: one of its own each.
//!
//! The contract has such a service once (`option (target) = {every: true}`). Inside of the mesh that of `orders` is
//! called `package.Service@orders`, in paths, policies and the call graph alike, so it is found, balanced, permitted
//! and measured like any other service of the target. Generated clients and servers know the contract's name only: a
//! [`TargetChannel`] adds the target to what clients send, [`OfTarget`] takes it away before the server sees it.

use std::{
    borrow::Cow,
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use tonic::body::Body;
use tower::Service;

use super::Channel;

/// The name of `service` in `target`.
pub(crate) fn name_in(service: &str, target: &str) -> String {
    format!("{service}@{target}")
}

/// The name that the contract has for a service or for the path of an RPC.
pub(crate) fn contract_name(name: &str) -> Cow<'_, str> {
    match name.split_once('@') {
        None => Cow::Borrowed(name),
        Some((service, rest)) => match rest.split_once('/') {
            None => Cow::Borrowed(service),
            Some((_, method)) => Cow::Owned(format!("{service}/{method}")),
        },
    }
}

/// Reaches, of the services that every target has, those of one target. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TargetChannel {
    channel: Channel,
    target: Arc<str>,
}

impl TargetChannel {
    pub(super) fn new(channel: Channel, target: &str) -> Self {
        Self {
            channel,
            target: Arc::from(target),
        }
    }
}

impl Service<Request<Body>> for TargetChannel {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let channel = self.channel.clone();
        if let Some((service, method)) = request.uri().path().rsplit_once('/') {
            let path = format!("{}/{method}", name_in(service, &self.target));
            replace_path(request.uri_mut(), path);
        }
        Box::pin(async move { Ok(channel.dispatch(request).await) })
    }
}

/// A generated server as that of one target.
#[derive(Clone, Debug)]
pub(crate) struct OfTarget<S>(pub(crate) S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for OfTarget<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let path = contract_name(request.uri().path()).into_owned();
        replace_path(request.uri_mut(), path);
        self.0.call(request)
    }
}

/// A path that is no path stays as it was, and nothing is found there.
fn replace_path(uri: &mut Uri, path: String) {
    let mut parts = uri.clone().into_parts();
    if let Ok(path) = path.parse() {
        parts.path_and_query = Some(path);
    }
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_in_a_target_leads_back_to_the_contract() {
        let name = name_in("hub.admin.v1.ProcessService", "orders");
        assert_eq!(name, "hub.admin.v1.ProcessService@orders");
        assert_eq!(contract_name(&name), "hub.admin.v1.ProcessService");
        assert_eq!(
            contract_name("/hub.admin.v1.ProcessService@orders/ReportHealth"),
            "/hub.admin.v1.ProcessService/ReportHealth"
        );
        let usual = "/hub.orders.v1.OrderService/GetOrder";
        assert!(matches!(contract_name(usual), Cow::Borrowed(path) if path == usual));
    }

    #[test]
    fn a_path_is_replaced_and_the_rest_of_the_address_is_kept() {
        let mut uri: Uri = "http://hub/a.B/C".parse().unwrap();
        replace_path(&mut uri, "/a.B@d/C".to_owned());
        assert_eq!(uri, "http://hub/a.B@d/C");
    }
}

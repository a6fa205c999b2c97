//! A tonic service behind one type.

use std::convert::Infallible;

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::Service;

/// Any generated tonic server, called without knowing which.
pub(crate) trait RpcService: Send + Sync {
    /// Serves one call.
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Response<Body>>;
}

impl<S> RpcService for S
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
{
    fn serve(&self, request: Request<Body>) -> BoxFuture<'static, Response<Body>> {
        // Generated servers are always ready; they hold an `Arc`, so a clone is cheap.
        let call = self.clone().call(request);
        Box::pin(async move {
            match call.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        })
    }
}

//! The agents: typed, explainable algorithms behind gRPC services.

//! The edge: REST, gRPC-Web and gRPC on one port.

//! GraphQL in front, gRPC behind.

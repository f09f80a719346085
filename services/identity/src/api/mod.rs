//! The wire: one file per gRPC service.

mod access;
mod brokerage;
mod identity;
mod privacy;

use kernel::{Error, Payload};
use tonic::{Response, Status};

type Reply<T> = Result<Response<T>, Status>;

/// The reply of a mutation that leaves no idempotency record, since its answer is a secret.
fn unrecorded<P: Payload>(outcome: kernel::Result<P::Object>) -> Reply<P> {
    match outcome {
        Ok(object) => Ok(Response::new(P::of(Ok(object)))),
        Err(Error::Refused(refusal)) => Ok(Response::new(P::of(Err(*refusal)))),
        Err(fault) => Err(fault.into()),
    }
}

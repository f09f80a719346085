//! Calls under an `Idempotency-Key` that do not run in `Context::mutate`: their answers are kept by the lot's writer, or
//! here.

use kernel::{Actor, Context, Error, Idempotency, Payload, Result};
use prost::Message;
use tonic::Request;

use crate::lot::command::Answer;

/// The key of a call of this method, if it has one.
pub fn keyed<I: Message>(cx: &Context, request: &Request<I>, method: &str) -> Option<Idempotency> {
    let (actor, key) = (Actor::read(request.metadata()), Actor::read_key(request.metadata())?);
    let input = request.get_ref().encode_to_vec();
    Some(Idempotency::new(&cx.vault, [&actor.person_id, method, &key], &input))
}

/// Does the work unless it was done before under this key: then that answer counts, whatever has changed since. For calls
/// that are not one transaction; the work keeps its answer by [`answered`] or [`keep`].
pub async fn once<P: Payload>(
    cx: &Context,
    keyed: Option<&Idempotency>,
    work: impl Future<Output = Result<P>>,
) -> Result<P> {
    let Some(call) = keyed else { return work.await };
    match call.find(cx.db.read()).await {
        Ok(None) => work.await,
        Ok(Some(reply)) => P::decode(reply.as_slice()).map_err(|error| Error::Internal(error.to_string())),
        Err(Error::Refused(refusal)) => Ok(P::of(Err(*refusal))),
        Err(fault) => Err(fault),
    }
}

/// Keeps an answer that no writer keeps, refusals included.
pub async fn keep<P: Payload>(cx: &Context, keyed: Option<Idempotency>, outcome: Result<P>) -> Result<P> {
    let reply = match outcome {
        Ok(reply) => reply,
        Err(Error::Refused(refusal)) => P::of(Err(*refusal)),
        Err(fault) => return Err(fault),
    };
    Ok(cx.refuse(keyed, reply, cx.clock.now()).await?.into_inner())
}

/// The payload of what the lot's writer answered, and has kept. What was refused without the writer is kept here.
pub async fn answered<P: Payload>(cx: &Context, keyed: Option<Idempotency>, outcome: Result<Answer>) -> Result<P> {
    match outcome {
        Ok(answer) => P::decode(answer.reply.as_slice()).map_err(|error| Error::Internal(error.to_string())),
        // Boxed: what is rare takes no room in every call's future.
        Err(error) => Box::pin(keep(cx, keyed, Err(error))).await,
    }
}

/// The payload of an outcome that is not kept.
pub fn payload<P: Payload>(outcome: Result<P::Object>) -> Result<P> {
    match outcome {
        Ok(object) => Ok(P::of(Ok(object))),
        Err(Error::Refused(refusal)) => Ok(P::of(Err(*refusal))),
        Err(fault) => Err(fault),
    }
}

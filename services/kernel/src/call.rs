use futures::future::BoxFuture;
use prost::Message;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::{Actor, Claim, Context, Error, Idempotency, Instant, Refusal, Result, Transaction, outbox};

/// One mutation under way: who, when, and the transaction in which all of it happens.
pub struct Call {
    /// The service's ground.
    pub cx: Context,
    /// The one transaction of the effect, its events and its idempotency row.
    pub tx: Transaction,
    /// Who calls.
    pub actor: Actor,
    /// The instant at which everything in this call is decided.
    pub now: Instant,
}

/// A mutation's reply: the object or the refusals. Implemented for every `*Payload` by wire.
pub trait Payload: Message + Default {
    /// What the mutation yields.
    type Object;
    /// Packs the outcome.
    fn of(outcome: std::result::Result<Self::Object, Refusal>) -> Self;
}

impl Call {
    /// Begins what must commit even though it is refused, or must leave no idempotency record.
    pub async fn begin(cx: &Context, actor: Actor) -> Result<Call> {
        Ok(Call { cx: cx.clone(), tx: cx.db.begin().await?, actor, now: cx.clock.now() })
    }

    /// Commits what [`Call::begin`] began. A fault leaves the outcome unknown.
    pub async fn commit(self) -> Result<()> {
        commit(self.tx).await
    }

    /// Writes an audit record that no other service acts on.
    pub async fn record(&self, kind: &str, subject: &str, facts: serde_json::Value) -> Result<()> {
        outbox::append(
            &self.tx,
            &self.cx,
            &self.actor,
            self.now,
            outbox::Draft { kind, subject, facts, announce: false },
        )
        .await
    }

    /// Writes an event that other services act on; it leaves with the commit.
    pub async fn announce<A: outbox::Announcement>(&self, subject: &str, announcement: &A) -> Result<()> {
        let facts = serde_json::to_value(announcement).map_err(|error| Error::Internal(error.to_string()))?;
        let draft = outbox::Draft { kind: A::KIND, subject, facts, announce: true };
        outbox::append(&self.tx, &self.cx, &self.actor, self.now, draft).await
    }
}

impl Context {
    /// Runs one mutation: its effect, its events and its idempotency row are one transaction. A refusal
    /// undoes the effect and is stored under the key as well; a fault stores nothing and blocks no key.
    pub async fn mutate<I, P, F>(&self, request: Request<I>, method: &str, act: F) -> Result<Response<P>, Status>
    where
        I: Message,
        P: Payload,
        F: for<'a> FnOnce(&'a Call, I) -> BoxFuture<'a, Result<P::Object>>,
    {
        let span = tracing::debug_span!("transaction", method);
        self.transact(request, method, act).instrument(span).await
    }

    async fn transact<I, P, F>(&self, request: Request<I>, method: &str, act: F) -> Result<Response<P>, Status>
    where
        I: Message,
        P: Payload,
        F: for<'a> FnOnce(&'a Call, I) -> BoxFuture<'a, Result<P::Object>>,
    {
        let actor = Actor::read(request.metadata());
        let key = Actor::read_key(request.metadata());
        let input = request.into_inner();
        let keyed =
            key.map(|key| Idempotency::new(&self.vault, [&actor.person_id, method, &key], &input.encode_to_vec()));
        let tx = self.db.begin().await?;
        let now = self.clock.now();
        if let Some(keyed) = &keyed {
            match keyed.claim(&tx, now).await {
                Ok(Claim::Fresh) => {}
                Ok(Claim::Done(reply)) => {
                    tx.rollback().await?;
                    return decode(&reply);
                }
                Err(Error::Refused(refusal)) => {
                    tx.rollback().await?;
                    return Ok(Response::new(P::of(Err(*refusal))));
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        let call = Call { cx: self.clone(), tx, actor, now };
        match act(&call, input).await {
            Ok(object) => {
                let reply = P::of(Ok(object));
                if let Some(keyed) = &keyed {
                    keyed.store(&call.tx, &reply.encode_to_vec()).await?;
                }
                match commit(call.tx).await {
                    Ok(()) => self.committed.notify_one(),
                    // Nothing is kept under the key: once the record is put right, the same call goes well.
                    Err(Error::Refused(refusal)) => return Ok(Response::new(P::of(Err(*refusal)))),
                    Err(fault) => return Err(fault.into()),
                }
                Ok(Response::new(reply))
            }
            Err(Error::Refused(refusal)) => match call.tx.refuse().await {
                Ok(()) => self.refuse(keyed, P::of(Err(*refusal)), now).await,
                Err(Error::Refused(altered)) => Ok(Response::new(P::of(Err(*altered)))),
                Err(fault) => Err(fault.into()),
            },
            Err(fault) => Err(fault.into()),
        }
    }

    /// Stores a refusal under its key, unless a concurrent copy got there first: then that one counts. For use cases
    /// that do not run in `mutate`.
    pub async fn refuse<P: Payload>(
        &self,
        keyed: Option<Idempotency>,
        reply: P,
        now: Instant,
    ) -> Result<Response<P>, Status> {
        let Some(keyed) = keyed else { return Ok(Response::new(reply)) };
        let tx = self.db.begin().await?;
        match keyed.claim(&tx, now).await {
            Ok(Claim::Fresh) => {}
            Ok(Claim::Done(earlier)) => {
                tx.rollback().await?;
                return decode(&earlier);
            }
            Err(Error::Refused(refusal)) => {
                tx.rollback().await?;
                return Ok(Response::new(P::of(Err(*refusal))));
            }
            Err(fault) => return Err(fault.into()),
        }
        keyed.store(&tx, &reply.encode_to_vec()).await?;
        commit(tx).await?;
        Ok(Response::new(reply))
    }
}

/// Unpacks a query's request: who asks, and what.
pub fn query<I>(request: Request<I>) -> (Actor, I) {
    let actor = Actor::read(request.metadata());
    (actor, request.into_inner())
}

/// A failed commit has an unknown outcome: the caller asks again under its key.
async fn commit(tx: Transaction) -> Result<()> {
    tx.commit().await.map_err(|error| match error {
        Error::Refused(_) => error,
        fault => Error::Unavailable(format!("commit: {fault}")),
    })
}

fn decode<P: Payload>(reply: &[u8]) -> Result<Response<P>, Status> {
    P::decode(reply).map(Response::new).map_err(|error| Error::Internal(error.to_string()).into())
}

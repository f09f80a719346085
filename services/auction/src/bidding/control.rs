//! What staff does to the course of sessions: pauses, resumptions, cancellations, one by one or all of a centre.

use futures::future::join_all;
use kernel::{Actor, Error, Id, Payload, Result, text};
use prost::Message;
use tonic::Request;
use wire::{
    id::{BiddingSessionId, OrganizationId},
    policy::{self, Of, Permission, permit},
    v1,
};

use crate::{
    auctions::Auctions,
    engine::Command,
    hall::called,
    lot::{
        command::{LotRequest, SideEffect},
        idempotent::{answered, keyed},
    },
    peers, store,
};

/// What each of these inputs names.
pub trait StaffInput: Message {
    /// The rpc, part of the idempotency key.
    const METHOD: &'static str;
    /// Who may send it.
    const PERMISSION: Permission;
    /// Whether a lot that the hammer ends takes it only while it is called in a handle.
    const IN_HALL: bool = false;
    /// The session.
    fn session(&self) -> &str;
    /// What is done.
    fn command(&self) -> Result<Command>;
}

macro_rules! staff_input {
    ($input:ident, $method:literal, $permission:ident, |$self:ident| $command:expr) => {
        impl StaffInput for v1::$input {
            const METHOD: &'static str = $method;
            const PERMISSION: Permission = policy::$permission;
            fn session(&self) -> &str {
                &self.session_id
            }
            fn command(&self) -> Result<Command> {
                let $self = self;
                Ok($command)
            }
        }
    };
}

staff_input!(PauseBiddingInput, "PauseBidding", PAUSE_BIDDING, |input| {
    Command::Pause { reason: text(&input.reason, "reason", 2, 200)? }
});
staff_input!(ResumeBiddingInput, "ResumeBidding", RESUME_BIDDING, |_input| Command::Resume);
staff_input!(CancelBiddingInput, "CancelBidding", CANCEL_BIDDING, |input| {
    Command::Cancel { reason: text(&input.reason, "reason", 2, 200)? }
});

/// Does what one of the staff asks of one session.
pub async fn direct<I: StaffInput, P: Payload>(auctions: &Auctions, request: Request<I>) -> Result<P> {
    let keyed = keyed(&auctions.cx, &request, I::METHOD);
    let (actor, input) = kernel::query(request);
    let directed = async {
        actor.require_known()?;
        let id = BiddingSessionId::parse(input.session(), "sessionId")?;
        let Some(handle) = auctions.lots.handle(id).await? else { return Err(Error::not_found("sessionId")) };
        permit(&actor, I::PERMISSION, Of::centre(&handle.sides.centre_id, "sessionId"))?;
        if I::IN_HALL {
            called::require_hall(&auctions.cx, id).await?;
        }
        let command = input.command()?;
        handle.send(LotRequest::Staff { actor: actor.clone(), command, beside: SideEffect::None }, keyed.clone()).await
    };
    let outcome = directed.await;
    answered(&auctions.cx, keyed, outcome).await
}

/// Stops every live session of a centre and of those below it, each with what remains of its time. What was done is kept
/// session by session: a repeated call finds the rest.
pub async fn pause_all(auctions: &Auctions, actor: &Actor, input: v1::PauseAllBiddingInput) -> Result<v1::BiddingHalt> {
    let centre_id = of_centre(actor, &input.centre_id, policy::PAUSE_ALL_BIDDING)?;
    let command = Command::Pause { reason: text(&input.reason, "reason", 2, 200)? };
    halt(auctions, actor, centre_id, (command, true)).await
}

/// Lets those go on that `pause_all` stopped.
pub async fn resume_all(
    auctions: &Auctions,
    actor: &Actor,
    input: v1::ResumeAllBiddingInput,
) -> Result<v1::BiddingHalt> {
    let centre_id = of_centre(actor, &input.centre_id, policy::RESUME_ALL_BIDDING)?;
    halt(auctions, actor, centre_id, (Command::Resume, false)).await
}

fn of_centre(actor: &Actor, centre: &str, permission: Permission) -> Result<OrganizationId> {
    actor.require_known()?;
    let centre_id = OrganizationId::parse(centre, "centreId")?;
    permit(actor, permission, Of::centre(centre, "centreId"))?;
    Ok(centre_id)
}

async fn halt(
    auctions: &Auctions,
    actor: &Actor,
    centre_id: OrganizationId,
    (command, halted): (Command, bool),
) -> Result<v1::BiddingHalt> {
    let below = peers::centres_below(&auctions.clients, &centre_id.text()).await?;
    let rows = store::of_centres(auctions.cx.db.read(), below, !halted).await?;
    let stopped = rows.into_iter().map(|row| {
        let command = command.clone();
        async move {
            let Some(handle) = auctions.lots.handle(row.id).await? else { return Ok(None) };
            let beside = SideEffect::Halt(halted);
            let answer = handle.send(LotRequest::Staff { actor: actor.clone(), command, beside }, None).await?;
            Ok::<_, Error>(answer.refused.is_none().then(|| row.id.text()))
        }
    });
    let stopped = join_all(stopped).await.into_iter().collect::<Result<Vec<_>>>()?;
    let session_ids = stopped.into_iter().flatten().collect();
    Ok(v1::BiddingHalt { centre_id: centre_id.text(), session_ids, at: Some(auctions.cx.clock.now()) })
}

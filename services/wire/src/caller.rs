use std::{sync::Arc, time::Duration};

use async_graphql::{Context, ErrorExtensions};
use kernel::{Actor, Error, ErrorCode, Peer};
use tonic::{Request, Response, Status};

use crate::{
    Loaders,
    v1::{
        access_client::AccessClient, auction_client::AuctionClient, brokerage_client::BrokerageClient,
        catalog_client::CatalogClient, contracting_client::ContractingClient, financing_client::FinancingClient,
        hall_client::HallClient, identity_client::IdentityClient, ledger_client::LedgerClient,
        privacy_client::PrivacyClient, sealed_bids_client::SealedBidsClient,
    },
};

/// A page of 100 listings with the longest summaries is 6 MB, an import batch more.
const LARGEST_MESSAGE: usize = 40 << 20;

/// One client per service; which of them live in this process shows nowhere.
#[derive(Clone)]
#[expect(missing_docs, reason = "one field per service, named like it")]
pub struct Clients {
    pub identity: IdentityClient<Peer>,
    pub access: AccessClient<Peer>,
    pub brokerage: BrokerageClient<Peer>,
    pub privacy: PrivacyClient<Peer>,
    pub catalog: CatalogClient<Peer>,
    pub auction: AuctionClient<Peer>,
    pub sealed_bids: SealedBidsClient<Peer>,
    pub hall: HallClient<Peer>,
    pub ledger: LedgerClient<Peer>,
    pub contracting: ContractingClient<Peer>,
    pub financing: FinancingClient<Peer>,
}

impl Clients {
    /// Clients over the peers that `peer` gives for each role.
    pub fn new(peer: impl Fn(&'static str) -> Peer) -> Self {
        Self {
            identity: IdentityClient::new(peer("identity")).max_decoding_message_size(LARGEST_MESSAGE),
            access: AccessClient::new(peer("identity")).max_decoding_message_size(LARGEST_MESSAGE),
            brokerage: BrokerageClient::new(peer("identity")).max_decoding_message_size(LARGEST_MESSAGE),
            privacy: PrivacyClient::new(peer("identity")).max_decoding_message_size(LARGEST_MESSAGE),
            catalog: CatalogClient::new(peer("catalog")).max_decoding_message_size(LARGEST_MESSAGE),
            auction: AuctionClient::new(peer("auction")).max_decoding_message_size(LARGEST_MESSAGE),
            sealed_bids: SealedBidsClient::new(peer("auction")).max_decoding_message_size(LARGEST_MESSAGE),
            hall: HallClient::new(peer("auction")).max_decoding_message_size(LARGEST_MESSAGE),
            ledger: LedgerClient::new(peer("ledger")).max_decoding_message_size(LARGEST_MESSAGE),
            contracting: ContractingClient::new(peer("contract")).max_decoding_message_size(LARGEST_MESSAGE),
            financing: FinancingClient::new(peer("financing")).max_decoding_message_size(LARGEST_MESSAGE),
        }
    }
}

/// Who is behind one GraphQL request, and the means to act for them.
pub struct Caller {
    /// The acting person.
    pub actor: Arc<Actor>,
    /// The `Idempotency-Key` header.
    pub key: Option<String>,
    /// The services.
    pub clients: Arc<Clients>,
    /// The links' batched look-ups, one batch per service and level.
    pub loaders: Loaders,
}

impl Caller {
    /// A caller of one request.
    #[must_use]
    pub fn new(actor: Arc<Actor>, key: Option<String>, clients: Arc<Clients>) -> Self {
        let loaders = Loaders::new(&clients, &actor);
        Self { actor, key, clients, loaders }
    }

    /// The caller of the request under way.
    pub fn of<'a>(ctx: &Context<'a>) -> async_graphql::Result<&'a Caller> {
        ctx.data::<Caller>()
    }

    /// A query's request, carrying the actor.
    pub fn request<T>(&self, message: T) -> Request<T> {
        request(&self.actor, None, message)
    }

    /// The request, on its way to the replica that has the session ([`kernel::replicas`]).
    pub fn about<T>(session_id: &str, mut request: Request<T>) -> Request<T> {
        // What is no header is no id either, and any replica refuses it.
        if let Ok(about) = session_id.parse() {
            request.metadata_mut().insert(kernel::ABOUT_HEADER, about);
        }
        request
    }

    /// A mutation's request: the key of one field is the header plus the response path.
    pub fn keyed<T>(&self, ctx: &Context<'_>, message: T) -> Request<T> {
        let field = ctx.item.node.response_key().node.as_str();
        let key = self.key.as_ref().map(|key| format!("{key}/{field}"));
        request(&self.actor, key.as_deref(), message)
    }
}

pub(crate) fn request<T>(actor: &Actor, key: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(10));
    actor.write(key, request.metadata_mut());
    request
}

/// Unwraps a reply, or turns its fault into a top-level GraphQL error that tells nothing internal.
pub fn answer<T>(reply: Result<Response<T>, Status>) -> async_graphql::Result<T> {
    reply.map(Response::into_inner).map_err(|status| fault(&Error::from(status)))
}

/// A fault as a top-level error: a stable code, a bilingual message, the refused field and rule of a query.
#[must_use]
pub fn fault(error: &Error) -> async_graphql::Error {
    let code = error.code();
    if code == ErrorCode::Internal {
        tracing::error!(%error, "fault behind GraphQL");
    }
    let (zh, en) = code.messages();
    async_graphql::Error::new(format!("{zh} {en}")).extend_with(|_, extensions| {
        let name: &'static str = code.into();
        extensions.set("code", name);
        if let Error::Refused(refusal) = error {
            // A query's arguments stand at its root, not below `input`.
            extensions.set("field", refusal.field.get(1..).unwrap_or_default().to_vec());
            extensions.set("rule", refusal.rule.clone());
            extensions.set("accepted", refusal.accepted.clone());
        }
    })
}

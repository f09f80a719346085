//! Any object by its id. The interface is written out, since the resolvers that wire generates are private to it
//! and the derive would call them; like the derive, it hands every selection on to the object itself.

use std::borrow::Cow;

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, ID, InterfaceType, Object, OutputType, Positioned, Result,
    ServerResult, Value,
    indexmap::{IndexMap, IndexSet},
    parser::types::Field,
    registry::{Deprecation, MetaField, MetaType, MetaTypeId, Registry},
    resolver_utils::{Fields, resolve_container},
};
use kernel::{ErrorCode, Id, Refusal};
use wire::{Caller, answer, fault, id, v1};

macro_rules! nodes {
    ($($object:ident)*) => {
        /// Any object that can be looked up by its id.
        pub enum Node { $($object(v1::$object),)* }

        $(impl From<v1::$object> for Node {
            fn from(object: v1::$object) -> Node { Node::$object(object) }
        })*

        impl Node {
            fn register(registry: &mut Registry) {
                $(
                    <v1::$object as OutputType>::create_type_info(registry);
                    registry.add_implements(&<v1::$object as OutputType>::type_name(), NAME);
                )*
            }

            fn possible_types() -> IndexSet<String> {
                [$(<v1::$object as OutputType>::type_name().into_owned()),*].into_iter().collect()
            }
        }

        impl ContainerType for Node {
            async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
                match self { $(Node::$object(object) => object.resolve_field(ctx).await,)* }
            }

            fn collect_all_fields<'a>(&'a self, ctx: &ContextSelectionSet<'a>, fields: &mut Fields<'a>) -> ServerResult<()> {
                match self { $(Node::$object(object) => object.collect_all_fields(ctx, fields),)* }
            }
        }

        impl OutputType for Node {
            fn type_name() -> Cow<'static, str> {
                Cow::Borrowed(NAME)
            }

            fn introspection_type_name(&self) -> Cow<'static, str> {
                match self { $(Node::$object(_) => <v1::$object as OutputType>::type_name(),)* }
            }

            fn create_type_info(registry: &mut Registry) -> String {
                registry.create_output_type::<Self, _>(MetaTypeId::Interface, interface)
            }

            async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
                resolve_container(ctx, self).await
            }
        }

        impl InterfaceType for Node {}
    };
}

nodes! {
    Organization Person Achievement Listing TransferApplication BiddingSession Award LedgerAccount Deal Contract
    Investor FinancingProject Mandate BrokerCredential
}

const NAME: &str = "Node";

fn interface(registry: &mut Registry) -> MetaType {
    Node::register(registry);
    let id = MetaField {
        name: "id".into(),
        description: Some("The object's id, which tells its kind.".into()),
        args: IndexMap::new(),
        ty: <ID as OutputType>::create_type_info(registry),
        deprecation: Deprecation::NoDeprecated,
        cache_control: Default::default(),
        external: false,
        requires: None,
        provides: None,
        visible: None,
        shareable: false,
        inaccessible: false,
        tags: Vec::new(),
        override_from: None,
        compute_complexity: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    };
    MetaType::Interface {
        name: NAME.into(),
        description: Some("Any object that can be looked up by its id.".into()),
        fields: IndexMap::from([("id".to_owned(), id)]),
        possible_types: Node::possible_types(),
        extends: false,
        keys: None,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: Some(std::any::type_name::<Node>()),
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// Look-up by id alone.
#[derive(Default)]
pub struct NodeQuery;

#[Object]
impl NodeQuery {
    /// Any object by its id; null if there is none, if the caller may not see it, or if its kind is not looked up
    /// here. Errors: INVALID_ID.
    ///
    /// Permission: anyone.
    #[graphql(complexity = "5 + child_complexity")]
    async fn node(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Node>> {
        let caller = Caller::of(ctx)?;
        let Some((prefix, _)) = kernel::decode(&id) else {
            return Err(fault(&Refusal::new(ErrorCode::InvalidId).at_field("id").into()));
        };
        node(caller, &prefix, Some(id.0)).await
    }
}

async fn node(caller: &Caller, prefix: &str, id: Option<String>) -> Result<Option<Node>> {
    let links = &caller.loaders;
    Ok(match prefix {
        id::OrganizationId::PREFIX => links.organization.link(id).await?.map(Node::from),
        id::PersonId::PREFIX => viewer(caller, id).await?.map(Node::from),
        id::AchievementId::PREFIX => links.achievement.link(id).await?.map(Node::from),
        id::ListingId::PREFIX => links.listing.link(id).await?.map(Node::from),
        id::TransferApplicationId::PREFIX => links.transfer_application.link(id).await?.map(Node::from),
        id::BiddingSessionId::PREFIX => links.session.link(id).await?.map(Node::from),
        id::AwardId::PREFIX => links.award.link(id).await?.map(Node::from),
        id::AccountId::PREFIX => account(caller, id).await?.map(Node::from),
        id::DealId::PREFIX => links.deal.link(id).await?.map(Node::from),
        id::ContractId::PREFIX => links.contract.link(id).await?.map(Node::from),
        id::InvestorId::PREFIX => links.investor.link(id).await?.map(Node::from),
        id::FinancingProjectId::PREFIX => links.financing_project.link(id).await?.map(Node::from),
        id::MandateId::PREFIX => links.mandate.link(id).await?.map(Node::from),
        id::BrokerCredentialId::PREFIX => credential(caller, id).await?.map(Node::from),
        _ => None,
    })
}

/// A person is seen by that person only.
async fn viewer(caller: &Caller, id: Option<String>) -> Result<Option<v1::Person>> {
    if id.as_ref() != Some(&caller.actor.person_id) {
        return Ok(None);
    }
    let request = caller.request(v1::Nothing {});
    Ok(answer(caller.clients.identity.clone().get_viewer(request).await)?.person)
}

async fn credential(caller: &Caller, id: Option<String>) -> Result<Option<v1::BrokerCredential>> {
    let request = caller.request(v1::Ids { ids: id.into_iter().collect() });
    Ok(answer(caller.clients.brokerage.clone().get_broker_credentials(request).await)?.items.pop())
}

async fn account(caller: &Caller, id: Option<String>) -> Result<Option<v1::LedgerAccount>> {
    if !caller.actor.is_known() {
        return Ok(None);
    }
    let request = caller.request(v1::GetLedgerAccountRequest { id, organization_id: None });
    Ok(answer(caller.clients.ledger.clone().get_ledger_account(request).await)?.account)
}

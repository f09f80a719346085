//! Who sees the same frames by the same document: everybody, where the policy opens each of its fields to anyone; else
//! only who has the same rights.

use std::{
    collections::{HashMap, HashSet},
    sync::OnceLock,
};

use async_graphql::{
    Positioned,
    parser::{
        parse_schema,
        types::{BaseType, ExecutableDocument, Selection, SelectionSet, Type, TypeKind, TypeSystemDefinition},
    },
};
use kernel::Actor;
use prost::Message;
use sha2::{Digest, Sha256};
use wire::policy::{ENTRIES, Permission};

use crate::{Mode, schema};

/// Who sees the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Audience(Option<[u8; 32]>);

impl Audience {
    /// The audience of a document that this actor watches by.
    pub fn of(document: &ExecutableDocument, actor: &Actor) -> Audience {
        if is_open(document) {
            return Audience(None);
        }
        // Where somebody calls from changes nothing of what they may see.
        let rights = Actor { address: String::new(), ..actor.clone() };
        Audience(Some(Sha256::digest(rights.encode_to_vec()).into()))
    }

    /// Whether all see the same.
    pub fn is_everybody(self) -> bool {
        self.0.is_none()
    }
}

/// Whether no field of the document leads to what only some may see.
fn is_open(document: &ExecutableDocument) -> bool {
    static GUARDED: OnceLock<Option<HashSet<String>>> = OnceLock::new();
    let Some(guarded) = GUARDED.get_or_init(|| guarded(&schema(Mode::Development).sdl())) else { return false };
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    operations.chain(fragments).all(|set| all_fields(set, &|name| !guarded.contains(name)))
}

fn all_fields(set: &Positioned<SelectionSet>, holds: &impl Fn(&str) -> bool) -> bool {
    set.node.items.iter().all(|item| match &item.node {
        Selection::Field(field) => holds(&field.node.name.node) && all_fields(&field.node.selection_set, holds),
        Selection::InlineFragment(inline) => all_fields(&inline.node.selection_set, holds),
        // Fragments are walked by themselves.
        Selection::FragmentSpread(_) => true,
    })
}

/// The names of the fields by which one leaves what anyone may see. Only such a field leads to what is below it, so
/// the names below need not be here. Nothing if the schema cannot be read.
fn guarded(sdl: &str) -> Option<HashSet<String>> {
    let mut objects: HashMap<String, Vec<(String, String)>> = HashMap::new();
    for definition in parse_schema(sdl).ok()?.definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let TypeKind::Object(object) = definition.node.kind else { continue };
        let fields = object.fields.iter().map(|field| {
            let field = &field.node;
            (field.name.node.to_string(), named(&field.ty.node).to_owned())
        });
        objects.insert(definition.node.name.node.to_string(), fields.collect());
    }
    let open = |place: &str, field: &str| {
        let entry = ENTRIES.iter().find(|entry| entry.place == place && entry.field == field);
        entry.is_some_and(|entry| entry.who == Permission::Anyone)
    };
    let mut guarded = HashSet::new();
    for (object, fields) in objects.iter().filter(|(object, _)| *object == "Subscription" || open(object, "")) {
        let closed = |(field, target): &&(String, String)| {
            !open(object, field) || (objects.contains_key(target) && !open(target, ""))
        };
        guarded.extend(fields.iter().filter(closed).map(|(field, _)| field.clone()));
    }
    Some(guarded)
}

fn named(r#type: &Type) -> &str {
    match &r#type.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => named(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;
    use kernel::ActingFor;

    #[test]
    fn only_what_anyone_may_see_has_everybody_for_its_audience() {
        let person = |id: &str, organization: &str, address: &str| {
            let acting = ActingFor { organization_id: organization.into(), ..ActingFor::default() };
            Actor { person_id: id.into(), memberships: vec![acting], address: address.into(), ..Actor::default() }
        };
        let one = person("a", "x", "192.0.2.1");
        let audience = |text: &str, actor: &Actor| Audience::of(&parse_query(text).unwrap(), actor);
        for open in [
            "subscription { auctionEvents(sessionId: \"x\") { event { seq } snapshot { terms { mode } sealedKeys { threshold } } } }",
            "subscription { auctionPrice(sessionId: \"x\") { __typename ...F } } fragment F on BiddingSession { id }",
        ] {
            assert!(audience(open, &one).is_everybody(), "{open}");
        }
        for guarded in [
            "subscription { auctionPrice(sessionId: \"x\") { listing { id } } }",
            "subscription { auctionEvents(sessionId: \"x\") { snapshot { a: centre { name } } } }",
            "subscription { auctionPrice(sessionId: \"x\") { ...F } } fragment F on BiddingSession { listing { id } }",
            "subscription { auctionPrice(sessionId: \"x\") { ... on BiddingSession { listing { id } } } }",
        ] {
            assert!(!audience(guarded, &one).is_everybody(), "{guarded}");
            assert_eq!(audience(guarded, &one), audience(guarded, &person("a", "x", "192.0.2.2")));
            assert_ne!(audience(guarded, &one), audience(guarded, &person("b", "x", "192.0.2.1")));
            assert_ne!(audience(guarded, &one), audience(guarded, &person("a", "y", "192.0.2.1")));
            assert_ne!(audience(guarded, &one), audience(guarded, &Actor::default()));
        }
    }
}

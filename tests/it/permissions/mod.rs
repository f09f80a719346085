//! Check S5: every role plays every field of the schema against own and foreign objects, and what comes of it is what
//! `policy.toml` says, no more and no less.

mod cast;

use std::collections::BTreeSet;

use exchange_tests::{Exchange, Lane};
use jishi::demo::client::Operation;
use serde_json::{Value, json};
use wire::policy::{ENTRIES, Entry, Permission};

use super::{
    hostile::schema::{Call, Leaf, Schema},
    market::door,
    refusal::tells_nothing_internal,
};
use cast::{Persona, Place, World};

/// Two lanes are enough, both databases and both ways to call a service among them: it makes some 3,000 calls.
#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds_on_sqlite() {
    the_matrix_holds(Exchange::start(Lane::Sqlite).await.expect("needs nothing")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_matrix_holds_on_networked_roles() {
    if let Some(exchange) = Exchange::start(Lane::Networked).await {
        the_matrix_holds(exchange).await;
    }
}

/// What tells a caller that this is not for them.
const DENIALS: [&str; 5] =
    ["UNAUTHENTICATED", "FORBIDDEN", "NOT_FOUND", "SECOND_FACTOR_REQUIRED", "ORGANIZATION_NOT_VERIFIED"];

/// Staff of any centre may: what they find lies within their centre.
const OF_NO_OBJECT: [&str; 1] = ["searchPersonalData"];

/// They end or replace what the caller stands on; other stories play them.
const ENDS_THE_CALLER: [&str; 4] = ["signOut", "signIn", "refreshSession", "changePassword"];

async fn the_matrix_holds(exchange: Exchange) {
    let world = World::build(&exchange).await;
    let schema = Schema::read(&door(&exchange).http).await;
    let mut wrong = Vec::new();
    objects(&world, &schema, &mut wrong).await;
    lists(&world, &schema, &mut wrong).await;
    mutations(&world, &schema, &mut wrong).await;
    assert!(wrong.is_empty(), "{} of the matrix do not hold:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether the persona may, where `public` tells whether anyone may see the object now.
fn may(persona: &Persona, entry: &Entry, public: bool) -> bool {
    match (entry.who, persona.role) {
        (Permission::Anyone, _) => true,
        (Permission::SignedIn | Permission::Oneself, _) => persona.place != Place::Anonymous,
        (Permission::Roles { .. }, None) => public,
        (Permission::Roles { own, staff }, Some(role)) => {
            let own = persona.place == Place::Own && own.contains(&role);
            public || own || persona.place == Place::Hub && staff.contains(&role)
        }
    }
}

fn entry(place: &str, field: &str) -> &'static Entry {
    ENTRIES.iter().find(|entry| entry.place == place && entry.field == field).expect("an entry")
}

async fn asked(world: &World, persona: &Persona, query: String, variables: Value) -> Value {
    let operation = Operation { query, variables, key: None };
    let answer = match &persona.person {
        Some(person) => person.call(operation).await.unwrap().answer,
        None => world.market.stage.client.ask(None, operation).await.unwrap().answer,
    };
    tells_nothing_internal(&answer);
    answer
}

/// Each object, all of its fields, through `node`: there or not, and each field that fewer people see.
async fn objects(world: &World, schema: &Schema, wrong: &mut Vec<String>) {
    for (kind, id, public) in &world.nodes {
        let query =
            format!("query N($id: ID!) {{ node(id: $id) {{ ... on {kind} {{ {} }} }} }}", schema.everything(kind));
        let missing = id_like(id);
        for persona in &world.personas {
            let answer = asked(world, persona, query.clone(), json!({ "id": id })).await;
            let seen = &answer["data"]["node"];
            let expected = may(persona, entry(kind, ""), *public);
            if seen.is_null() == expected || expected && answer.get("errors").is_some() {
                wrong.push(format!("{} sees {kind}: {expected} expected, {answer}", persona.name()));
                continue;
            }
            if !expected {
                let nothing = asked(world, persona, query.clone(), json!({ "id": missing })).await;
                if nothing["data"] != answer["data"] {
                    wrong.push(format!("{} tells a foreign {kind} from a missing one", persona.name()));
                }
                continue;
            }
            for restricted in ENTRIES.iter().filter(|entry| entry.place == *kind && !entry.field.is_empty()) {
                let hidden = restricted.words != entry(kind, "").words && !may(persona, restricted, false);
                if hidden && !is_empty(&seen[restricted.field]) {
                    wrong.push(format!("{} reads {kind}.{}", persona.name(), restricted.field));
                }
            }
            links(world, persona, seen, wrong);
        }
    }
}

/// A link leads nowhere that the persona may not go.
fn links(world: &World, persona: &Persona, seen: &Value, wrong: &mut Vec<String>) {
    let linked = seen.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name, value.get("id")?)));
    for (name, id) in linked {
        let foreign = world.nodes.iter().find(|(_, known, _)| id == known);
        if let Some((kind, ..)) = foreign.filter(|(kind, _, public)| !may(persona, entry(kind, ""), *public)) {
            wrong.push(format!("{} reaches {kind} over the link {name}", persona.name()));
        }
    }
}

/// Whatever can be listed without arguments lists no object that the persona may not know of.
async fn lists(world: &World, schema: &Schema, wrong: &mut Vec<String>) {
    for call in schema.calls().into_iter().filter(|call| call.kind == "query") {
        let Some(document) = schema.listing(&call) else { continue };
        for persona in &world.personas {
            let answer = asked(world, persona, document.clone(), json!({})).await;
            if entry("Query", &call.field).who == Permission::SignedIn && persona.person.is_none() {
                if answer["errors"][0]["extensions"]["code"] != "UNAUTHENTICATED" {
                    wrong.push(format!("nobody asks {}: {answer}", call.field));
                }
                continue;
            }
            let listed = answer["data"][&call.field].to_string();
            for (kind, id, public) in &world.nodes {
                let item = format!("\"id\":\"{id}\"");
                if listed.contains(&item) && !may(persona, entry(kind, ""), *public) {
                    wrong.push(format!("{} is listed {kind} by {}", persona.name(), call.field));
                }
            }
        }
    }
}

/// Each mutation, with an input that names the objects and is wrong in everything else: who may is told what is wrong,
/// who may not is told so first, and a foreign object is answered like a missing one.
async fn mutations(world: &World, schema: &Schema, wrong: &mut Vec<String>) {
    let mut played = BTreeSet::new();
    for call in schema.calls().into_iter().filter(|call| call.kind == "mutation") {
        if ENDS_THE_CALLER.contains(&call.field.as_str()) {
            continue;
        }
        played.insert(call.field.clone());
        let entry = entry("Mutation", &call.field);
        // Those who may come last: what they do may change the object.
        let (may_not, may): (Vec<_>, Vec<_>) =
            world.personas.iter().partition(|persona| !self::may(persona, entry, false));
        let branch =
            |persona: &&&Persona| persona.place == Place::Branch && OF_NO_OBJECT.contains(&call.field.as_str());
        let may_not = may_not.into_iter().filter(|persona| !branch(&persona));
        for persona in may_not {
            let answer = mutate(world, schema, &call, persona, &|id| id.to_owned()).await;
            let code = code(&answer, &call);
            if matches!(persona.place, Place::Foreign | Place::Branch) && schema.leaves(&call).iter().any(is_private) {
                let missing = mutate(world, schema, &call, persona, &id_like).await;
                if missing["data"] != answer["data"] {
                    wrong.push(format!("{} tells foreign from missing: {answer} {missing}", persona.name()));
                }
            }
            if !DENIALS.contains(&code.as_str()) {
                wrong.push(format!("{} may not {}, yet: {code}", persona.name(), call.field));
            }
        }
        for persona in may {
            let answer = mutate(world, schema, &call, persona, &|id| id.to_owned()).await;
            let code = code(&answer, &call);
            let denied = ["UNAUTHENTICATED", "FORBIDDEN", "SECOND_FACTOR_REQUIRED"].contains(&code.as_str());
            if denied && !entry.words.contains(';') {
                wrong.push(format!("{} may {}, yet: {answer}", persona.name(), call.field));
            }
        }
    }
    let said: BTreeSet<String> = ENTRIES.iter().filter(|e| e.place == "Mutation").map(|e| e.field.to_owned()).collect();
    let left: Vec<_> = said.difference(&played).filter(|name| !ENDS_THE_CALLER.contains(&name.as_str())).collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn mutate(
    world: &World,
    schema: &Schema,
    call: &Call,
    persona: &Persona,
    change: &(dyn Fn(&str) -> String + Sync),
) -> Value {
    let known = |name: &str, kind: &str| match (name, kind) {
        ("listingId", _) if call.field == "applyForTransfer" => world.ids["soldListingId"].clone(),
        ("centreId", _) if call.field == "assignCentre" => world.ids["parentId"].clone(),
        // The one line of the terminal, a conflict.
        ("number", _) if call.field == "settleJournalConflict" => json!(1),
        (_, "ID") => json!(world.ids[name].as_str().map_or_else(|| "session_".to_owned(), change)),
        (_, "String") => json!(""),
        (_, "Int") => json!(-1),
        (_, "Boolean") => json!(false),
        (_, "Money") => json!("0.00"),
        (_, "DateTime") => json!("2000-01-01T00:00:00.000Z"),
        _ => Value::Null,
    };
    let nowhere = Leaf { path: Vec::new(), kind: String::new() };
    let mut variables = schema.variables(call, &nowhere, &known);
    if call.field == "erasePerson" {
        // Without it, the caller asks for their own erasure.
        variables["input"]["personId"] = known("personId", "ID");
    }
    asked(world, persona, schema.document(call), variables).await
}

/// Whether the input names an object that strangers may not know of.
fn is_private(leaf: &Leaf) -> bool {
    const PRIVATE: [&str; 10] = [
        "transferApplicationId",
        "awardId",
        "dealId",
        "contractId",
        "investorId",
        "financingProjectId",
        "mandateId",
        "invitationId",
        "brokerCredentialId",
        "deviceId",
    ];
    leaf.path.last().is_some_and(|name| PRIVATE.contains(&name.as_str()))
}

/// The code of the refusal, or of the error; empty if it was done.
fn code(answer: &Value, call: &Call) -> String {
    let refused = answer.pointer(&format!("/data/{}/userErrors/0/code", call.field));
    let code = refused.or_else(|| answer.pointer("/errors/0/extensions/code"));
    code.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// An id of the same kind that belongs to nothing: its last digits, which are random, are others.
fn id_like(id: &str) -> String {
    let (head, tail) = id.split_at(id.len() - 6);
    let other = tail.chars().map(|digit| if digit == '7' { '3' } else { '7' });
    head.chars().chain(other).collect()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

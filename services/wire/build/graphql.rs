//! Messages as GraphQL objects and input objects, rpcs as mutations.

use std::{collections::BTreeSet, fmt::Write};

use super::{
    policy::Policy,
    proto::{Field, Files, Kind, Message, camel, doc, is_mutation, snake},
};

/// Links between objects: (message or `*`, field that holds the key, link, loader and object type).
type Link = (&'static str, &'static str, &'static str, &'static str, &'static str);

const LINKS: [Link; 25] = [
    ("*", "organization_id", "organization", "organization", "Organization"),
    ("*", "transferor_id", "transferor", "organization", "Organization"),
    ("*", "transferee_id", "transferee", "organization", "Organization"),
    ("*", "centre_id", "centre", "organization", "Organization"),
    ("*", "parent_id", "parent", "organization", "Organization"),
    ("*", "principal_id", "principal", "organization", "Organization"),
    ("*", "agency_id", "agency", "organization", "Organization"),
    ("*", "other_organization_id", "other_organization", "organization", "Organization"),
    ("*", "mandate_id", "mandate", "mandate", "Mandate"),
    ("*", "winner_id", "winner", "organization", "Organization"),
    ("*", "listing_id", "listing", "listing", "Listing"),
    ("*", "achievement_id", "achievement", "achievement", "Achievement"),
    ("*", "transfer_application_id", "transfer_application", "transfer_application", "TransferApplication"),
    ("*", "deal_id", "deal", "deal", "Deal"),
    ("*", "contract_id", "contract", "contract", "Contract"),
    ("*", "award_id", "award", "award", "Award"),
    ("*", "investor_id", "investor", "investor", "Investor"),
    ("*", "financing_project_id", "financing_project", "financing_project", "FinancingProject"),
    ("Award", "session_id", "session", "session", "BiddingSession"),
    ("Bid", "session_id", "session", "session", "BiddingSession"),
    ("ProxyBid", "session_id", "session", "session", "BiddingSession"),
    ("Listing", "id", "bidding_session", "session_of_listing", "BiddingSession"),
    ("Listing", "id", "award", "award_of_listing", "Award"),
    ("Listing", "id", "deal", "deal_of_listing", "Deal"),
    ("Person", "id", "personal", "personal_data", "PersonalData"),
];

/// What GraphQL shows of an object: its fields and their links.
pub fn field_names(message: &Message) -> BTreeSet<String> {
    let links = |field: &Field| links(&message.name, &field.name).map(|link| camel(link.2)).collect::<Vec<_>>();
    message.fields.iter().flat_map(|field| links(field).into_iter().chain([camel(&field.name)])).collect()
}

fn links<'a>(object: &'a str, field: &'a str) -> impl Iterator<Item = &'static Link> + 'a {
    LINKS.iter().filter(move |link| (link.0 == "*" || link.0 == object) && link.1 == field)
}

pub fn objects(files: &Files, policy: &Policy) -> String {
    let mut out = String::new();
    for message in files.objects() {
        let name = &message.name;
        let mut body = String::new();
        for field in &message.fields {
            let (r#type, value) = output(field);
            let (f, gql) = (&field.name, camel(&field.name));
            let doc = doc(&(field.comment.clone() + &policy.of_field(name, &gql)));
            writeln!(body, "{doc}#[graphql(name = \"{gql}\")] async fn gql_{f}(&self) -> {type} {{ {value} }}")
                .unwrap();
            for link in links(name, f) {
                body += &self::link(field, link, &policy.of_field(name, &camel(link.2)));
            }
        }
        let doc = doc(&(message.comment.clone() + &policy.of_object(name)));
        writeln!(out, "{doc}#[async_graphql::Object(name = \"{name}\")] impl {name} {{ {body} }}").unwrap();
    }
    out
}

fn link(field: &Field, (_, f, link, loader, target): &Link, permission: &str) -> String {
    let key = if field.optional { format!("self.{f}.clone()") } else { format!("Some(self.{f}.clone())") };
    let gql = camel(link);
    let doc = doc(&format!("Null where the caller may not see it.{permission}"));
    format!(
        "{doc}#[graphql(name = \"{gql}\", complexity = \"5 + child_complexity\")]\n\
         async fn link_{link}(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<Option<{target}>> {{\n\
         crate::Caller::of(ctx)?.loaders.{loader}.link({key}).await }}\n"
    )
}

/// The GraphQL type of a field, and the expression that reads it.
fn output(field: &Field) -> (String, String) {
    let f = &field.name;
    let (one, read) = match &field.kind {
        Kind::Text => ("&str".to_owned(), format!("self.{f}.as_str()")),
        Kind::Id => ("async_graphql::ID".to_owned(), format!("self.{f}.as_str().into()")),
        Kind::Bool => ("bool".to_owned(), format!("self.{f}")),
        Kind::Int32 => ("i32".to_owned(), format!("self.{f}")),
        Kind::Int64 => ("i64".to_owned(), format!("self.{f}")),
        Kind::Bytes => panic!("{f}: bytes are not for GraphQL"),
        Kind::Enum(e) => (rust(e), format!("{}::try_from(self.{f}).unwrap_or_default()", rust(e))),
        Kind::Message(m) if is_scalar(m) => (rust(m), format!("self.{f}.unwrap_or_default()")),
        Kind::Message(m) => (format!("&{}", rust(m)), String::new()),
    };
    match (&field.kind, field.repeated, field.optional) {
        (Kind::Text, true, _) => ("&[String]".into(), format!("&self.{f}")),
        (Kind::Enum(e), true, _) => {
            let e = rust(e);
            (format!("Vec<{e}>"), format!("self.{f}.iter().filter_map(|value| {e}::try_from(*value).ok()).collect()"))
        }
        (Kind::Message(m), true, _) => (format!("&[{}]", rust(m)), format!("&self.{f}")),
        (Kind::Text, _, true) => ("Option<&str>".into(), format!("self.{f}.as_deref()")),
        (Kind::Id, _, true) => ("Option<async_graphql::ID>".into(), format!("self.{f}.as_deref().map(Into::into)")),
        (Kind::Enum(e), _, true) => {
            let e = rust(e);
            (format!("Option<{e}>"), format!("self.{f}.and_then(|value| {e}::try_from(value).ok())"))
        }
        (Kind::Message(m), _, true) if is_scalar(m) => (format!("Option<{}>", rust(m)), format!("self.{f}")),
        (Kind::Message(m), _, _) if !is_scalar(m) => (format!("Option<&{}>", rust(m)), format!("self.{f}.as_ref()")),
        (_, _, true) => (format!("Option<{one}>"), format!("self.{f}")),
        _ => (one, read),
    }
}

pub fn inputs(files: &Files) -> String {
    let mut out = String::new();
    for message in files.inputs() {
        let (name, mut fields, mut moves) = (&message.name, String::new(), String::new());
        for field in &message.fields {
            let (f, gql) = (&field.name, camel(&field.name));
            let (one, convert) = match &field.kind {
                Kind::Text => ("String".to_owned(), "value"),
                Kind::Id => ("async_graphql::ID".to_owned(), "value.0"),
                Kind::Bool => ("bool".to_owned(), "value"),
                Kind::Int32 => ("i32".to_owned(), "value"),
                Kind::Int64 => ("i64".to_owned(), "value"),
                Kind::Enum(e) => (rust(e), "value as i32"),
                Kind::Message(m) if is_scalar(m) => (rust(m), "value"),
                Kind::Message(m) if m.ends_with("Input") => (format!("{m}Fields"), "value.into()"),
                _ => panic!("{name}.{f}: inputs take scalars, enums and other inputs"),
            };
            let message_kind = matches!(&field.kind, Kind::Message(m) if is_scalar(m));
            let (r#type, value) = match (field.repeated, field.optional) {
                (true, _) => (format!("Vec<{one}>"), format!("input.{f}.into_iter().map(|value| {convert}).collect()")),
                (_, true) => (format!("Option<{one}>"), format!("input.{f}.map(|value| {convert})")),
                _ if message_kind => (one, format!("Some(input.{f})")),
                _ => (one, format!("{{ let value = input.{f}; {convert} }}")),
            };
            let default = if field.kind == Kind::Bool || field.repeated { ", default" } else { "" };
            let doc = doc(&field.comment);
            writeln!(fields, "{doc}#[graphql(name = \"{gql}\"{default})] pub {f}: {type},").unwrap();
            writeln!(moves, "{f}: {value},").unwrap();
        }
        let doc = doc(&message.comment);
        writeln!(
            out,
            "{doc}#[derive(async_graphql::InputObject)] #[graphql(name = \"{name}\")] pub struct {name}Fields {{ {fields} }}\n\
             impl From<{name}Fields> for v1::{name} {{ fn from(input: {name}Fields) -> Self {{ v1::{name} {{ {moves} }} }} }}"
        )
        .unwrap();
    }
    out
}

pub fn mutations(files: &Files, policy: &Policy) -> String {
    let mut out = String::new();
    for service in &files.services {
        let client = snake(&service.name);
        let mut body = String::new();
        for (rpc, comment, request, reply) in &service.rpcs {
            if !is_mutation(request, reply) {
                continue;
            }
            let (f, gql) = (snake(rpc), camel(&snake(rpc)));
            let doc = doc(&(comment.clone() + &policy.of_mutation(&gql)));
            // Commands of one lot meet in one replica.
            let (named, routed) = match files.names_a_session(request) {
                true => ("let session_id = input.session_id.0.clone();\n", "Caller::about(&session_id, request)"),
                false => ("", "request"),
            };
            writeln!(
                body,
                "{doc}#[graphql(name = \"{gql}\")] async fn {f}(&self, ctx: &async_graphql::Context<'_>, input: {request}Fields) -> async_graphql::Result<v1::{reply}> {{\n\
                 let caller = Caller::of(ctx)?;\n\
                 {named}let request = caller.keyed(ctx, v1::{request}::from(input));\n\
                 answer(caller.clients.{client}.clone().{f}({routed}).await) }}"
            )
            .unwrap();
        }
        if !body.is_empty() {
            let name = &service.name;
            writeln!(
                out,
                "/// The mutations of {name}.\n#[derive(Default)] pub struct {name}Mutation;\n#[async_graphql::Object] impl {name}Mutation {{ {body} }}"
            )
            .unwrap();
        }
    }
    out
}

/// Types mapped to one scalar in kernel.
fn is_scalar(message: &str) -> bool {
    matches!(message, "Money" | "Instant")
}

fn rust(name: &str) -> String {
    match name {
        "Money" | "Instant" | "Role" => format!("kernel::{name}"),
        "UserError" => "kernel::Refusal".to_owned(),
        _ => format!("v1::{name}"),
    }
}

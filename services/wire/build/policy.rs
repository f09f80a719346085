//! `policy.toml`: who may do what. Every mutation, query, subscription and field of an object has its line; one that
//! is missing, or stands for nothing, stops the build.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde::Deserialize;

use super::proto::{Files, camel, snake};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    mutations: BTreeMap<String, Who>,
    queries: BTreeMap<String, Who>,
    subscriptions: BTreeMap<String, Who>,
    objects: BTreeMap<String, Object>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Who {
    Plain(Plain),
    Roles(Roles),
}

#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Plain {
    Anyone,
    SignedIn,
    #[serde(rename = "SELF")]
    Oneself,
}

/// Names of roles, separated by spaces; `*` for all that there are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    #[serde(default)]
    own: String,
    #[serde(default)]
    staff: String,
    /// When anyone sees the object, in words.
    #[serde(default)]
    public: String,
    /// A condition that no role expresses.
    #[serde(default)]
    and: String,
}

/// An object of the schema.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    seen_by: Who,
    /// The fields that everybody sees who sees the object.
    fields: String,
    /// Fields that fewer people see, and who.
    #[serde(default)]
    only: BTreeMap<String, Who>,
}

const OWN: &str = "ADMINISTRATOR TRANSFEROR BROKER BIDDER INVESTOR SIGNATORY";
const STAFF: &str = "REVIEWER QUALIFIER HALL_CLERK AUCTIONEER CASHIER REGISTRAR AUDITOR";

impl Policy {
    pub fn read(text: &str, files: &Files) -> Policy {
        let policy: Policy = toml::from_str(text).unwrap_or_else(|error| panic!("policy.toml: {error}"));
        let rpcs: BTreeSet<String> = files.mutations().map(|rpc| camel(&snake(rpc))).collect();
        agree("mutations", &rpcs, &policy.mutations.keys().cloned().collect());
        let objects: BTreeSet<String> = files.objects().map(|object| object.name.clone()).collect();
        let payload = |name: &String| name.ends_with("Payload");
        agree(
            "objects",
            &objects.iter().filter(|name| !payload(name)).cloned().collect(),
            &policy.objects.keys().cloned().collect(),
        );
        for object in files.objects().filter(|object| !payload(&object.name)) {
            let entry = &policy.objects[&object.name];
            let named = entry.fields.split_whitespace().map(str::to_owned).chain(entry.only.keys().cloned());
            let fields = super::graphql::field_names(object);
            agree(&format!("objects.{}", object.name), &fields, &named.collect());
        }
        policy
    }

    /// What the description of a mutation ends with.
    pub fn of_mutation(&self, name: &str) -> String {
        format!("\n\nPermission: {}.", self.mutations[name].words())
    }

    /// What the description of an object ends with.
    pub fn of_object(&self, name: &str) -> String {
        match self.objects.get(name) {
            Some(object) => format!("\n\nPermission: {}.", object.seen_by.words()),
            None => String::new(),
        }
    }

    /// What the description of a field ends with.
    pub fn of_field(&self, object: &str, field: &str) -> String {
        let Some(entry) = self.objects.get(object) else { return String::new() };
        match entry.only.get(field) {
            Some(who) => format!("\n\nPermission: {}; empty for others.", who.words()),
            None => format!("\n\nPermission: as the {object}."),
        }
    }

    /// The entries as constants, and as one table.
    pub fn constants(&self) -> String {
        let mut out = String::new();
        for (name, who) in self.mutations.iter().chain(&self.queries) {
            let constant = snake(name).to_ascii_uppercase();
            let words = who.words();
            writeln!(out, "/// `{name}`: {words}.\npub const {constant}: Permission = {};", who.rust()).unwrap();
        }
        let mut rows = String::new();
        let roots = [("Mutation", &self.mutations), ("Query", &self.queries), ("Subscription", &self.subscriptions)];
        for (place, entries) in roots {
            entries.iter().for_each(|(name, who)| rows += &who.entry(place, name));
        }
        for (name, object) in &self.objects {
            rows += &object.seen_by.entry(name, "");
            object.fields.split_whitespace().for_each(|field| rows += &object.seen_by.entry(name, field));
            object.only.iter().for_each(|(field, who)| rows += &who.entry(name, field));
        }
        writeln!(out, "/// Everything that `policy.toml` says.\npub const ENTRIES: &[Entry] = &[{rows}];").unwrap();
        out
    }
}

impl Who {
    fn words(&self) -> String {
        match self {
            Who::Plain(Plain::Anyone) => "anyone".to_owned(),
            Who::Plain(Plain::SignedIn) => "whoever is signed in".to_owned(),
            Who::Plain(Plain::Oneself) => "the person whom it is about".to_owned(),
            Who::Roles(Roles { own, staff, public, and }) => {
                let list = |roles: &str| roles.split_whitespace().collect::<Vec<_>>().join(", ");
                let own = match own.as_str() {
                    "" => None,
                    "*" => Some("members of its organization".to_owned()),
                    roles => Some(format!("{} of its organization", list(roles))),
                };
                let staff = match staff.as_str() {
                    "" => None,
                    "*" => Some("staff of its centre or of one above".to_owned()),
                    roles => Some(format!("{} of its centre or of one above", list(roles))),
                };
                let public = (!public.is_empty()).then(|| format!("anyone {public}"));
                let and = if and.is_empty() { String::new() } else { format!("; {and}") };
                public.into_iter().chain(own).chain(staff).collect::<Vec<_>>().join("; ") + &and
            }
        }
    }

    fn entry(&self, place: &str, field: &str) -> String {
        let (words, who) = (self.words(), self.rust());
        let public = if let Who::Roles(roles) = self { roles.public.as_str() } else { "" };
        format!("Entry {{ place: {place:?}, field: {field:?}, words: {words:?}, public: {public:?}, who: {who} }},\n")
    }

    fn rust(&self) -> String {
        match self {
            Who::Plain(Plain::Anyone) => "Permission::Anyone".to_owned(),
            Who::Plain(Plain::SignedIn) => "Permission::SignedIn".to_owned(),
            Who::Plain(Plain::Oneself) => "Permission::Oneself".to_owned(),
            Who::Roles(Roles { own, staff, .. }) => {
                format!("Permission::Roles {{ own: {}, staff: {} }}", list(own, OWN), list(staff, STAFF))
            }
        }
    }
}

/// The roles as a Rust slice. One that does not exist stops the build.
fn list(names: &str, all: &str) -> String {
    let names = if names == "*" { all } else { names };
    let known = |name: &&str| format!("{OWN} {STAFF}").split(' ').any(|role| role == *name);
    let role = |name: &str| {
        assert!(known(&name), "policy.toml names {name}, which is no role");
        format!("Role::{}, ", pascal(name))
    };
    format!("&[{}]", names.split_whitespace().map(role).collect::<String>())
}

/// `HALL_CLERK` → `HallClerk`.
fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_ascii_lowercase();
    name.split('_').map(word).collect()
}

fn agree(place: &str, schema: &BTreeSet<String>, policy: &BTreeSet<String>) {
    let missing: Vec<_> = schema.difference(policy).collect();
    let stray: Vec<_> = policy.difference(schema).collect();
    assert!(missing.is_empty(), "policy.toml says nothing about {missing:?} of {place}");
    assert!(stray.is_empty(), "policy.toml speaks of {stray:?} in {place}, which do not exist");
}

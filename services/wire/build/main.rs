//! Compiles proto/ once, for gRPC, for GraphQL and for the database.
//!
//! A message becomes its GraphQL object, `*Input` an input object, `*Payload` a mutation's payload, an
//! rpc from `XInput` to `XPayload` a mutation, a field such as `listing_id` a link to the listing, and
//! an enum a text column. Comments in proto/ become the descriptions.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a build script speaks to cargo and may stop the build"
)]

mod graphql;
mod policy;
mod proto;
mod readable;
mod stored;

use std::{env, error::Error, fs, path::PathBuf};

use policy::Policy;
use proto::Files;

const FILES: [&str; 14] = [
    "common",
    "bidding",
    "identity",
    "access",
    "brokerage",
    "privacy",
    "catalog",
    "auction",
    "sealed",
    "hall",
    "ledger",
    "contract",
    "financing",
    "events",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["../../proto"])?;
    compiler.include_source_info(true).include_imports(true);
    for file in FILES {
        compiler.open_file(format!("jishi/v1/{file}.proto"))?;
    }
    let descriptors = compiler.file_descriptor_set();
    println!("cargo:rerun-if-changed=../../proto");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=policy.toml");

    let files = Files::read(&descriptors);
    let policy = Policy::read(&fs::read_to_string("policy.toml")?, &files);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("objects.rs"), graphql::objects(&files, &policy))?;
    fs::write(out.join("inputs.rs"), graphql::inputs(&files))?;
    fs::write(out.join("mutations.rs"), graphql::mutations(&files, &policy))?;
    fs::write(
        out.join("stored.rs"),
        stored::enums(&files) + &stored::payloads(&files) + &stored::announcements(&files),
    )?;

    fs::write(out.join("policy.rs"), policy.constants())?;

    let mut build = tonic_prost_build::configure().enum_attribute(".", "#[derive(async_graphql::Enum)]");
    for mapped in ["Money", "Instant", "Role"] {
        build = build.extern_path(format!(".jishi.v1.{mapped}"), format!("::kernel::{mapped}"));
    }
    build = build.extern_path(".jishi.v1.UserError", "::kernel::Refusal");
    for message in files.announcements() {
        build = build.message_attribute(
            format!(".jishi.v1.{}", message.name),
            // An event that was written before a field was added lacks it.
            "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default)]",
        );
    }
    build = readable::derive(build, &files);
    build.compile_fds(descriptors)?;
    Ok(())
}

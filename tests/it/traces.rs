//! One request, one trace: from the `traceparent` of the client through gateway, service and database to a collector,
//! whether the roles share a process or not; and its id in every line of the log.

use std::{
    collections::HashMap,
    fs,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use exchange_tests::{Exchange, LOGS, Lane};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value::StringValue,
    trace::v1::{ResourceSpans, Span},
};
use serde_json::{Value, json};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use super::{edge::SOON, market::Market};

const WRITING: &str = "0af7651916cd43dd8448eb211c80319c";
const READING: &str = "1bf7651916cd43dd8448eb211c80319c";
const CLIENTS_SPAN: &str = "b7ad6b7169203331";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ResourceSpans>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().extend(request.into_inner().resource_spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    /// Starts it; where it listens.
    async fn start() -> (Collector, String) {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let collector = Collector::default();
        let service = TraceServiceServer::new(collector.clone());
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpIncoming::from(listener)));
        (collector, address)
    }

    /// The spans of a trace by their ids, each with the name of its process.
    fn trace(&self, id: &str) -> HashMap<String, (String, Span)> {
        let sent = self.0.lock().unwrap();
        let spans = sent.iter().flat_map(|resource| {
            let spans = resource.scope_spans.iter().flat_map(|scope| scope.spans.iter());
            spans.map(|span| (process(resource), span.clone()))
        });
        let of_trace = spans.filter(|(_, span)| hex(&span.trace_id) == id);
        of_trace.map(|(process, span)| (hex(&span.span_id), (process, span))).collect()
    }
}

fn process(spans: &ResourceSpans) -> String {
    let attributes = spans.resource.iter().flat_map(|resource| &resource.attributes);
    let name = attributes.filter(|attribute| attribute.key == "service.name").find_map(|name| name.value.clone());
    match name.and_then(|name| name.value) {
        Some(StringValue(name)) => name,
        other => panic!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks as part of a trace; the answer's data.
async fn ask(exchange: &Exchange, trace: &str, token: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/graphql", exchange.http)).bearer_auth(token).json(&body);
    let response = request.header("traceparent", format!("00-{trace}-{CLIENTS_SPAN}-01")).send().await.unwrap();
    assert_eq!(response.headers()["x-trace-id"], trace);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer.get("errors"), None, "{answer}");
    answer["data"].clone()
}

async fn one_trace(lane: Lane, gateway: &str, catalog: &str) {
    let (collector, endpoint) = Collector::start().await;
    let logs = tempfile::tempdir().unwrap();
    let environment = [
        ("JISHI_OTLP_ENDPOINT", endpoint.as_str()),
        ("JISHI_LOG", "debug"),
        ("JISHI_LOG_FORMAT", "json"),
        (LOGS, logs.path().to_str().unwrap()),
    ];
    let Some(mut exchange) = Exchange::start_with(lane, &environment).await else { return };
    let market = Market::open(&exchange, 0).await;
    let token = market.broker.token().await.unwrap();
    let write = "mutation C($input: CreateListingInput!) { createListing(input: $input) { listing { id } userErrors { code } } }";
    let made =
        ask(&exchange, WRITING, &token, json!({ "query": write, "variables": { "input": market.draft() } })).await;
    let listing = &made["createListing"]["listing"]["id"];
    let read = "query L($id: ID!) { listing(id: $id) { organization { name } } }";
    let read = ask(&exchange, READING, &token, json!({ "query": read, "variables": { "id": listing } })).await;
    assert_eq!(read["listing"]["organization"]["name"], json!(market.university.name));
    assert!(exchange.stop().iter().all(|code| *code == Some(0)));

    let trace = collector.trace(WRITING);
    let insert = trace.values().find(|(_, span)| span.name == "statement").expect("a statement");
    let way = way(&trace, &insert.1);
    let expected = [
        ("statement", catalog),
        ("transaction", catalog),
        ("jishi.v1.Catalog/CreateListing", catalog),
        ("request", gateway),
    ];
    assert_eq!(way, expected);
    // A link is looked up in a task of its own.
    let trace = collector.trace(READING);
    let names: Vec<_> = trace.values().map(|(_, span)| span.name.as_str()).collect();
    for expected in ["request", "jishi.v1.Catalog/GetListings", "jishi.v1.Identity/GetOrganizations"] {
        assert!(names.contains(&expected), "{expected} in {names:?}");
    }
    let told = format!("{:?}", collector.0.lock().unwrap());
    for secret in [token.as_str(), "50000000", "高镍三元前驱体"] {
        assert!(!told.contains(secret), "{secret} reached the collector");
    }
    names_the_trace(logs.path(), WRITING);
}

/// The names and processes of a span and of all above it, up to the client's.
fn way<'a>(trace: &'a HashMap<String, (String, Span)>, span: &'a Span) -> Vec<(&'a str, &'a str)> {
    let mut way = Vec::new();
    let mut id = hex(&span.span_id);
    while id != CLIENTS_SPAN {
        let (process, span) = trace.get(&id).unwrap_or_else(|| panic!("{id} is not in the trace: {way:?}"));
        way.push((span.name.as_str(), process.as_str()));
        id = hex(&span.parent_span_id);
    }
    way
}

/// Every line is an object, and what the catalog said about the call names its trace.
fn names_the_trace(logs: &Path, trace: &str) {
    let mut found = 0;
    for file in fs::read_dir(logs).unwrap() {
        for line in fs::read_to_string(file.unwrap().path()).unwrap().lines().filter(|line| !line.contains("ready ")) {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let spans = line["spans"].as_array().cloned().unwrap_or_default();
            if spans.iter().any(|span| span["otel.name"] == "jishi.v1.Catalog/CreateListing") {
                found += usize::from(spans.iter().any(|span| span["trace"] == trace));
            }
        }
    }
    assert!(found > 0, "no line names the trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_is_one_trace() {
    one_trace(Lane::Sqlite, "jishi", "jishi").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_are_one_trace() {
    one_trace(Lane::Networked, "jishi-gateway", "jishi-identity-catalog").await;
}

/// A collector that takes the connection and never says a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_collector_holds_nothing_up() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let began = Instant::now();
    let mut exchange = Exchange::start_with(Lane::Sqlite, &[("JISHI_OTLP_ENDPOINT", &endpoint)]).await.unwrap();
    eprintln!("started and filled in {:?}", began.elapsed());
    let stopping = Instant::now();
    assert_eq!(exchange.stop(), [Some(0)]);
    assert!(stopping.elapsed() < SOON, "stopped only after {:?}", stopping.elapsed());
}

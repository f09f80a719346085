//! Starts this process's roles and stops them.

use std::{
    io::{ErrorKind, Write, stdout},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::Router;
use gateway::{Addresses, DemoAccount, Edge, Probes, Rates, RequestLog};
use identity::Entrance;
use kernel::{Clock, Db, Keep, Limiter};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    time::{interval, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use wire::Clients;

use crate::{
    Result, bus,
    config::Config,
    database::Databases,
    drill::Drill,
    heads, listen, measure, operations,
    peers::{self, Here},
    proof::Proof,
    roles::{Role, Roles},
    seed,
    stop::StopSignals,
    telemetry::Telemetry,
};

/// What was begun may take this long after a stop.
const GRACE: Duration = Duration::from_secs(10);

/// An exchange, or a part of one, at work in this process.
pub struct Running {
    /// Where HTTP answers, such as `http://127.0.0.1:8080`.
    pub http: String,
    /// Where gRPC answers, if other processes may call.
    pub grpc: Option<String>,
    /// Where metrics are told, if anywhere.
    pub metrics: Option<String>,
    /// The time of the exchange.
    pub clock: Clock,
    /// All services.
    pub clients: Clients,
    life: Life,
    databases: Databases,
    drain: Duration,
}

/// The tasks of a running process, and what ends them.
#[derive(Clone, Default)]
struct Life {
    ready: Arc<AtomicBool>,
    /// Ends what takes work from outside.
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Ends the event dispatchers, after the last work was done.
    flush: CancellationToken,
    dispatchers: TaskTracker,
}

/// Starts the roles of this process: the given ones, or all.
pub async fn start(config: Config, only: Option<Vec<Role>>) -> Result<Running> {
    let roles = Roles::new(only);
    config.suits(&roles)?;
    let (clock, life) = (Clock::system(), Life::default());
    let doors = Doors::take(&config, &roles).await?;
    let databases = Databases::open(&config, &roles, &clock).await?;
    let drill = match config.is_development() {
        true => Some(Drill::resume(&config, &databases, &clock).await?),
        false => None,
    };
    let here = Here::default();
    let clients = peers::clients(&config, &roles, &here)?;
    let consumers = bus::consumers(&roles, &databases, &clients)?;
    let mut routes =
        services(&config, &roles, &databases, &clients, &life)?.add_service(bus::Feed::serve(consumers.clone()));
    if let Some(drill) = &drill {
        routes = routes.add_service(drill.clone().serve());
    }
    here.open(routes);
    let delivery = bus::delivery(&config, &roles, consumers, &life.tasks, &life.stop)?;
    for ground in databases.grounds() {
        let dispatcher = ground.context.clone().dispatch(ground.services.clone(), delivery.clone(), life.flush.clone());
        life.dispatchers.spawn(dispatcher);
        life.dispatchers.spawn(ground.context.clone().seal_audit(ground.services.clone(), life.flush.clone()));
    }
    let keep = Keep { answers: config.idempotency_days, row_events: config.row_event_days };
    for ground in databases.grounds() {
        life.tasks.spawn(ground.context.clone().forget(keep, life.stop.clone()));
    }
    if let Some(authority) = databases.time_authority() {
        life.tasks.spawn(anchor(clock.clone(), authority, life.stop.clone()));
    }

    let grpc = match doors.grpc {
        Some(socket) => Some(serve_grpc(&config, socket, here, &life)?),
        None => None,
    };
    if config.plants_demo() && roles.has(Role::Identity) {
        seed::accounts(&databases.context(Role::Identity)?).await?;
        let content = seed::content_when_possible(clients.clone(), clock.clone());
        // The other processes of a split exchange may need this one first.
        if roles.are_split() { drop(life.tasks.spawn(content)) } else { content.await }
    }
    let addresses = Addresses::new(&config.trusted_proxies, config.connections_per_address, config.unread_per_address)?;
    let metrics = serve_metrics(&config, doors.metrics, (&addresses, &databases), &life)?;
    let taken = |error| format!("http_listen {}: {error}", config.http_listen);
    let listener = listen::listen(doors.http).map_err(taken)?;
    let http = address(&listener)?;
    let mut app = gateway::probes(probes(&config, &roles, &databases, drill, &life)?);
    if roles.has(Role::Gateway) {
        app = app.merge(front_door(&config, &clients, &clock, &life, &addresses)?);
    }
    let (stop, tasks) = (life.stop.clone(), life.tasks.clone());
    let log = RequestLog::new(config.master_key()?.pseudonyms(), config.request_log);
    let app = gateway::framed(app, log, addresses.clone());
    life.tasks.spawn(listen::serve(listener, app, addresses, stop, tasks));
    life.ready.store(true, Relaxed);
    let drain = config.drain_millis.unwrap_or(if config.is_development() { 0 } else { 3_000 });
    Ok(Running { http, grpc, metrics, clock, clients, life, databases, drain: Duration::from_millis(drain) })
}

impl Running {
    /// Stops: says so to the load balancer, ends what was begun, delivers the last events, closes the databases.
    pub async fn shutdown(self) {
        let Running { life, databases, drain, .. } = self;
        life.ready.store(false, Relaxed);
        sleep(drain).await;
        life.stop.cancel();
        life.tasks.close();
        if timeout(GRACE, life.tasks.wait()).await.is_err() {
            tracing::warn!(tasks = life.tasks.len(), "what was begun did not end in time");
        }
        life.flush.cancel();
        life.dispatchers.close();
        if timeout(GRACE, life.dispatchers.wait()).await.is_err() {
            tracing::warn!("the last events stay in the outbox");
        }
        // A connection that waits for a machine that is gone never comes back to be closed.
        if timeout(GRACE, databases.close()).await.is_err() {
            tracing::warn!("a database did not close in time");
        }
    }
}

/// The services that live here.
fn services(config: &Config, roles: &Roles, databases: &Databases, clients: &Clients, life: &Life) -> Result<Routes> {
    let mut routes = Routes::default();
    for role in roles.services() {
        let context = databases.context(role)?;
        routes = match role {
            Role::Gateway => routes,
            Role::Identity => identity::serve(context, clients.clone(), entrance(config)?, routes),
            Role::Catalog => routes.add_service(catalog::serve(context, clients.clone())),
            Role::Auction => {
                let life = (life.tasks.clone(), life.stop.clone());
                auction::serve(context, clients.clone(), life, routes)
            }
            Role::Ledger => routes.add_service(ledger::serve(context, clients.clone())),
            Role::Contract => routes.add_service(contract::serve(context)),
            Role::Financing => routes.add_service(financing::serve(context)),
        };
    }
    Ok(routes)
}

/// What guards the way in.
fn entrance(config: &Config) -> Result<Entrance> {
    Ok(Entrance {
        guesses_per_address: config.guesses_per_address,
        signing_key_days: config.signing_key_days,
        providers: config.oidc_providers.clone(),
        limiter: limiter(config)?,
    })
}

/// What counts how much somebody asks for.
fn limiter(config: &Config) -> Result<Limiter> {
    let Some(url) = &config.redis_url else { return Ok(Limiter::alone()) };
    Ok(Limiter::shared(url, &format!("{}:rate", config.redis_stream), config.master_key()?.pseudonyms())?)
}

fn front_door(config: &Config, clients: &Clients, clock: &Clock, life: &Life, addresses: &Addresses) -> Result<Router> {
    let Config { rate_person: person, rate_organization: organization, rate_address: address, .. } = *config;
    Ok(gateway::router(Edge {
        mode: config.mode,
        clients: clients.clone(),
        clock: clock.clone(),
        demo_accounts: demo_accounts(config),
        allowed_origins: config.allowed_origins.clone(),
        addresses: addresses.clone(),
        rates: Rates { person, organization, address },
        limiter: limiter(config)?,
        operations: operations::known(config)?,
        stop: life.stop.clone(),
        tasks: life.tasks.clone(),
    }))
}

/// The accounts that GraphiQL names; none without demo data.
fn demo_accounts(config: &Config) -> Vec<DemoAccount> {
    if config.plants_demo() { seed::demo_accounts().unwrap_or_default() } else { Vec::new() }
}

fn probes(config: &Config, roles: &Roles, databases: &Databases, drill: Option<Drill>, life: &Life) -> Result<Probes> {
    let grounds = databases.grounds().map(|ground| (ground.context.clone(), ground.services.clone())).collect();
    life.tasks.spawn(measure::backlog(grounds, life.stop.clone()));
    let (ready, proof) = (life.ready.clone(), Arc::new(Proof::of(databases.connections())));
    for ground in databases.grounds() {
        let (db, services, stop) = (ground.context.db.clone(), ground.services.clone(), life.stop.clone());
        life.tasks.spawn(async move { db.check_own_word(&services, stop).await });
    }
    let everywhere = drill.map(|drill| drill.everywhere(config, roles)).transpose()?.map(Arc::new);
    Ok(Probes {
        ready: Arc::new(move |()| {
            let (ready, proof) = (ready.clone(), proof.clone());
            Box::pin(async move { ready.load(Relaxed) && proof.holds().await })
        }),
        move_clock: everywhere.map(|everywhere| -> gateway::MoveClock {
            Arc::new(move |to| {
                let everywhere = everywhere.clone();
                Box::pin(async move { everywhere.move_clock(to).await })
            })
        }),
    })
}

/// On PostgreSQL the database's clock is the authority: follows it until stopped.
async fn anchor(clock: Clock, authority: Db, stop: CancellationToken) {
    let mut ticks = interval(Duration::from_secs(1));
    while !stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => if let Err(error) = clock.anchor(&authority).await {
                tracing::warn!(%error, "the database's clock could not be read");
            },
            () = stop.cancelled() => {}
        }
    }
}

/// The addresses of a process: one that another program has is noticed before any database is touched.
struct Doors {
    http: TcpSocket,
    metrics: Option<TcpSocket>,
    grpc: Option<TcpSocket>,
}

impl Doors {
    async fn take(config: &Config, roles: &Roles) -> Result<Doors> {
        let grpc = match roles.are_split() {
            true => Some(bind("grpc_listen", &config.grpc_listen).await?),
            false => None,
        };
        let metrics = match config.metrics_listen.is_empty() {
            true => None,
            false => Some(bind("metrics_listen", &config.metrics_listen).await?),
        };
        Ok(Doors { http: bind("http_listen", &config.http_listen).await?, metrics, grpc })
    }
}

/// Records metrics, and tells them to who may listen where they are told; where that is.
fn serve_metrics(
    config: &Config,
    socket: Option<TcpSocket>,
    (addresses, databases): (&Addresses, &Databases),
    life: &Life,
) -> Result<Option<String>> {
    let metrics = measure::metrics()?;
    life.tasks.spawn(measure::upkeep(metrics.clone(), life.stop.clone()));
    let Some(socket) = socket else { return Ok(None) };
    let taken = |error| format!("metrics_listen {}: {error}", config.metrics_listen);
    let listener = listen::listen(socket).map_err(taken)?;
    let at = address(&listener)?;
    let (stop, tasks) = (life.stop.clone(), life.tasks.clone());
    let told = gateway::metrics(move || metrics.render()).merge(heads::routes(databases));
    life.tasks.spawn(listen::serve(listener, told, addresses.clone(), stop, tasks));
    Ok(Some(at))
}

fn serve_grpc(config: &Config, socket: TcpSocket, here: Here, life: &Life) -> Result<String> {
    let taken = |error| format!("grpc_listen {}: {error}", config.grpc_listen);
    let listener = listen::listen(socket).map_err(taken)?;
    let grpc = address(&listener)?;
    life.tasks.spawn(peers::serve(listener, here, config.peer_secret.clone(), life.stop.clone()));
    Ok(grpc)
}

async fn bind(key: &str, address: &str) -> Result<TcpSocket> {
    let open = async {
        let mut outcome = Err(ErrorKind::AddrNotAvailable.into());
        for at in lookup_host(address).await? {
            outcome = listen::bind(at);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    };
    Ok(open.await.map_err(|error| format!("{key} {address}: {error}"))?)
}

fn address(listener: &TcpListener) -> Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

/// The verb `serve`: runs until a signal comes. A second signal does not wait for what was begun.
pub async fn serve(config: Config, only: Option<Vec<Role>>) -> Result<()> {
    let telemetry = Telemetry::begin(&config, &Roles::new(only.clone()))?;
    let mut signals = StopSignals::listen()?;
    let running = start(config, only).await?;
    announce(&running)?;
    signals.next().await;
    tracing::info!("stopping");
    tokio::select! {
        () = running.shutdown() => tracing::info!("stopped"),
        () = signals.next() => tracing::warn!("a second signal: leaving at once"),
    }
    telemetry.end().await;
    Ok(())
}

/// Tells where it runs: a line for people, and one that programs read.
fn announce(running: &Running) -> Result<()> {
    let Running { http, grpc, metrics, .. } = running;
    let more = [("grpc", grpc), ("metrics", metrics)].into_iter();
    let more: String = more.filter_map(|(what, at)| at.as_ref().map(|at| format!(" {what}={at}"))).collect();
    let mut out = stdout().lock();
    writeln!(out, "Jishi is ready at {http}/ (GraphQL: {http}/graphql; stop: Ctrl-C)")?;
    writeln!(out, "ready http={http}{more}")?;
    Ok(out.flush()?)
}

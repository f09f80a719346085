//! PostGraphile 5 over a stored `place_bid()`, in a schema of its own on the same server.

use exchange_benches::{
    FIRST_STEP,
    caller::{AMOUNT, Bidders, Call, Marks},
    node::Node,
    schema,
};
use jishi::Result;
use kernel::Db;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

const SCHEMA: &str = include_str!("../peers/postgraphile/schema.sql");
/// As many as bid on a lot of ours.
const BIDDERS: usize = 3;

const MARKS: Marks = Marks { accepted: "\"refusal\":null", refused: &["\"refusal\":\"BELOW_MIN_INCREMENT\""] };

/// What happens to a bid that was overtaken on its way.
#[derive(Clone, Copy)]
pub enum Late {
    /// It is refused, as with us.
    Refused,
    /// It takes the next price: in their favour.
    TakesTheNext,
}

/// The server and its database.
pub struct Theirs {
    node: Node,
    db: Db,
    lots: i32,
}

impl Theirs {
    /// Starts it. `None`: Node is not there.
    pub async fn start(server: &str) -> Result<Option<Theirs>> {
        let url = schema(server).await?;
        let name = url.rsplit('=').next().unwrap_or_default();
        let db = Db::connect(&url).await?;
        db.run(SCHEMA).await?;
        let node = Node::start("postgraphile", &[("PEER_DATABASE_URL", server), ("PEER_SCHEMA", name)]).await?;
        Ok(node.map(|node| Theirs { node, db, lots: 0 }))
    }

    /// Those who bid on a new lot, and the lot.
    pub async fn bidders(&mut self, late: Late) -> Result<(i32, Bidders)> {
        self.lots += 1;
        let lot = self.lots;
        let first = FIRST_STEP - 1;
        let insert = format!("INSERT INTO lot (id, increment, price) VALUES ({lot}, 1, {first})");
        self.db.run(&insert).await?;
        let verb = match late {
            Late::Refused => "placeBid",
            Late::TakesTheNext => "placeBidNext",
        };
        let query = format!(
            "mutation($l:Int!,$b:String!,$a:BigInt!){{{verb}(input:{{lot:$l,bidder:$b,amount:$a}}){{result{{seq amount at refusal}}}}}}"
        );
        let address = self.node.address.clone();
        let call = |bidder| {
            let variables = json!({ "l": lot, "b": format!("B{bidder:02}"), "a": AMOUNT });
            Call::new(&address, None, &query, &variables)
        };
        let calls = (1..=BIDDERS).map(call).collect::<Result<Vec<_>>>()?;
        let amount = Box::new(|step: i64| step.to_string());
        Ok((lot, Bidders { address, calls, amount, marks: MARKS }))
    }

    /// How many bids of a lot lie in the database.
    pub async fn count(&self, lot: i32) -> Result<u64> {
        let count = format!("SELECT count(*) AS n FROM bid WHERE lot_id = {lot}");
        let row = self.db.read().query_one_raw(Statement::from_string(DbBackend::Postgres, count)).await?;
        let count: i64 = row.ok_or("a count")?.try_get("", "n")?;
        Ok(u64::try_from(count)?)
    }
}

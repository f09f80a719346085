//! The organizations and people of a story. The exchange's staff is seeded; everybody else signs up anew each time,
//! so that a story can be told many times on one database.

use futures::future::{try_join, try_join_all};
use kernel::Money;
use serde_json::json;

use super::{
    Error, Fields, Result,
    client::{Client, Operation},
    person::{Person, fresh_key},
    stage::Stage,
    timeline::{EXCHANGE, Who},
};
use crate::seed::DEMO_PASSWORD;

/// The exchange's staff.
pub struct Staff {
    /// Reviews organizations, listings and awards.
    pub reviewer: Person,
    /// Reviews transfer applications, schedules bidding, confirms awards.
    pub qualifier: Person,
    /// Records bank receipts and settles.
    pub cashier: Person,
    /// Registers contracts.
    pub registrar: Person,
}

/// An organization whose first person registered it.
pub struct House {
    /// Its id.
    pub id: String,
    /// Its registered name.
    pub name: String,
    /// Who registered it: its administrator, with the other roles that the story needs.
    pub person: Person,
}

/// What an organization needs to come in.
#[derive(Clone, Copy)]
pub struct Plan {
    /// How the story calls its person.
    pub who: Who,
    /// The beginning of its name.
    pub name: &'static str,
    /// What kind of body it is.
    pub kind: &'static str,
    /// The registering authority and kind, the first two characters of its code.
    pub authority: &'static str,
    /// The roles of the person who registers it.
    pub roles: &'static [&'static str],
}

const ENTERPRISE: &[&str] = &["ADMINISTRATOR", "BIDDER", "SIGNATORY"];

impl Plan {
    /// A company that bids, by one person.
    #[must_use]
    pub const fn bidder(zh: &'static str, en: &'static str, name: &'static str) -> Plan {
        Plan { who: Who { zh, en }, name, kind: "ENTERPRISE", authority: "91", roles: ENTERPRISE }
    }

    /// A university that transfers its results.
    #[must_use]
    pub const fn university(name: &'static str) -> Plan {
        let who = Who { zh: "高校科技处", en: "university" };
        Plan { who, name, kind: "UNIVERSITY", authority: "12", roles: &["ADMINISTRATOR"] }
    }

    /// A code of GB/T 4754-2017 that fits the kind.
    fn industry(self) -> &'static str {
        match self.kind {
            "UNIVERSITY" => "P83",
            "INVESTOR" => "J66",
            _ => "C39",
        }
    }
}

impl Staff {
    /// The seeded staff, signed in.
    pub async fn gather(stage: &Stage<'_>) -> Result<Staff> {
        let person = |zh, en| Person::seeded(&stage.client, Who { zh, en }, en);
        let staff = Staff {
            reviewer: person("审核员", "reviewer"),
            qualifier: person("资格审查员", "qualifier"),
            cashier: person("结算员", "cashier"),
            registrar: person("登记员", "registrar"),
        };
        // A started exchange may still be planting its accounts, and nobody guesses at passwords until then. They come
        // in one transaction with their organizations, which anybody may list.
        let query = "{ organizations(first: 1) { edges { node { id } } } }";
        let ask = || async {
            let operation = Operation { query: query.into(), variables: json!({}), key: None };
            let read = stage.client.ask(None, operation).await?.data()?;
            Ok(read.pointer("/organizations/edges/0").map(|_| ()))
        };
        stage.until("the seeded staff", ask).await?;
        let Staff { reviewer, qualifier, cashier, registrar } = &staff;
        try_join_all([reviewer, qualifier, cashier, registrar].map(Person::sign_in)).await?;
        stage.tell(EXCHANGE, "中心四名工作人员登录", "four of the centre's staff sign in", "");
        Ok(staff)
    }

    /// Lets organizations in: sign-up, registration, verification, roles.
    pub async fn admit(&self, stage: &Stage<'_>, plans: &[Plan]) -> Result<Vec<House>> {
        let houses = try_join_all(plans.iter().map(|plan| register(&stage.client, *plan))).await?;
        for house in &houses {
            stage.tell(
                house.person.who,
                "注册账号，提交机构入驻申请",
                "signs up and registers the organization",
                &house.name,
            );
        }
        for (house, plan) in houses.iter().zip(plans) {
            let input = json!({ "organizationId": house.id, "approve": true, "evidence": "营业执照与代码证书核对一致 papers match" });
            self.reviewer.act("verifyOrganization", "organization { id status }", input).await?;
            house.give(&house.person, plan.roles).await?;
        }
        try_join_all(houses.iter().zip(plans).map(|(house, plan)| house.person.take_up(plan.roles))).await?;
        // Roles are part of who a token stands for; another gateway may remember the old ones for two seconds.
        try_join_all(houses.iter().map(|house| house.person.refresh_login())).await?;
        stage.tell(
            self.reviewer.who,
            "核验代码，批准入驻",
            "verifies the organizations",
            format!("{} 家 VERIFIED", houses.len()),
        );
        Ok(houses)
    }

    /// The centre itself, whose administrator invites more staff.
    pub async fn centre(&self, stage: &Stage<'_>) -> Result<House> {
        let person = Person::seeded(&stage.client, Who { zh: "中心管理员", en: "centre" }, "centre");
        let read = person.glance("{ centres { organizationId tier } }", json!({})).await?;
        let centres = read.at("/centres")?.as_array().cloned().unwrap_or_default();
        let hub = centres.iter().find(|centre| centre.get("tier") == Some(&json!("HUB")));
        let hub = hub.ok_or_else(|| Error::answer("a hub", read.clone()))?;
        Ok(House { id: hub.text_at("/organizationId")?.to_owned(), name: String::new(), person })
    }

    /// Credits money that arrived at the bank.
    pub async fn receive(&self, stage: &Stage<'_>, house: &House, amount: Money) -> Result<()> {
        let input = json!({
            "organizationId": house.id,
            "amount": amount.to_string(),
            "bankReference": fresh_key(),
            "receivedAt": stage.client.now().plus_seconds(-60).to_string(),
        });
        self.cashier.act("recordBankReceipt", "bankReceipt { id amount bankReference recordedAt }", input).await?;
        let zh = format!("登记{}的银行到账", house.person.who.zh);
        stage.tell(self.cashier.who, zh, format!("records {}'s bank receipt", house.person.who.en), yuan(amount));
        Ok(())
    }
}

impl House {
    /// Invites another person, who signs up and accepts.
    pub async fn hire(&self, stage: &Stage<'_>, who: Who, roles: &[&str]) -> Result<Person> {
        let person = Person::new(&stage.client, who, fresh_login(), DEMO_PASSWORD);
        person.sign_up(who.zh).await?;
        let (invited, _) = try_join(self.invite(&person.login, roles), person.take_up(roles)).await?;
        person.accept(&invited).await?;
        stage.tell(
            self.person.who,
            format!("邀请成员：{}", who.zh),
            format!("invites a member, who accepts: {}", who.en),
            roles.join(" "),
        );
        Ok(person)
    }

    /// Replaces a member's roles.
    pub async fn give(&self, member: &Person, roles: &[&str]) -> Result<()> {
        let input = json!({ "organizationId": self.id, "personId": member.id().await?, "roles": roles });
        self.person.act("changeMemberRoles", "member { personId roles }", input).await.map(|_| ())
    }

    /// Offers roles to whoever has the login; the invitation's id.
    pub async fn invite(&self, login: &str, roles: &[&str]) -> Result<String> {
        let input = json!({ "organizationId": self.id, "login": login, "roles": roles });
        let invitation = self.person.act("inviteMember", "invitation { id roles status }", input).await?;
        Ok(invitation.text_at("/id")?.to_owned())
    }
}

impl Person {
    /// The person's own id.
    pub async fn id(&self) -> Result<String> {
        Ok(self.glance("{ viewer { id } }", json!({})).await?.text_at("/viewer/id")?.to_owned())
    }

    /// Accepts an invitation; its roles count in this session from then on.
    pub async fn accept(&self, invitation: &str) -> Result<()> {
        let input = json!({ "invitationId": invitation, "accept": true });
        self.act("answerInvitation", "invitation { id status }", input).await?;
        // Another gateway may remember for two seconds who stood behind the token.
        self.refresh_login().await
    }
}

async fn register(client: &Client, plan: Plan) -> Result<House> {
    let person = Person::new(client, plan.who, fresh_login(), DEMO_PASSWORD);
    person.sign_up(plan.who.zh).await?;
    let usci = fresh_usci(plan.authority);
    let ending: String = usci.chars().skip(12).take(5).collect();
    let name = format!("{}（示例{ending}）", plan.name);
    let input = json!({
        "name": name, "kind": plan.kind, "usci": usci, "region": "510100", "legalRepresentative": "王示例",
        "industry": plan.industry(),
    });
    let organization = person.act("registerOrganization", "organization { id name status usci }", input).await?;
    Ok(House { id: organization.text_at("/id")?.to_owned(), name, person })
}

/// A login that nobody has.
pub fn fresh_login() -> String {
    format!("demo-{}", fresh_key())
}

/// A unified social credit code that nobody holds, with a right check character (GB 32100-2015).
pub fn fresh_usci(authority: &str) -> String {
    const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
    let mut random = kernel::fresh_uuid().as_u128() & ((1 << 62) - 1);
    let mut code = format!("{authority}510100");
    for _ in 0..9 {
        let value = usize::try_from(random % 31).unwrap_or_default();
        random /= 31;
        code.extend(ALPHABET.chars().nth(value));
    }
    let weights = std::iter::successors(Some(1), |weight| Some(weight * 3 % 31));
    let sum: usize =
        code.chars().filter_map(|c| ALPHABET.find(c)).zip(weights).map(|(value, weight)| value * weight).sum();
    code.extend(ALPHABET.chars().nth((31 - sum % 31) % 31));
    code
}

/// An amount as people write it.
#[must_use]
pub fn yuan(amount: Money) -> String {
    let text = amount.to_string();
    let (whole, fen) = text.split_once('.').unwrap_or((&text, "00"));
    let grouped = whole.char_indices().fold(String::new(), |mut grouped, (place, digit)| {
        if place > 0 && (whole.len() - place) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
        grouped
    });
    format!("{grouped}.{fen} 元")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_check_character() {
        for _ in 0..100 {
            let code = fresh_usci("91");
            let values = code.chars().map(|c| "0123456789ABCDEFGHJKLMNPQRTUWXY".find(c).unwrap());
            let weights = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28, 1];
            let sum: usize = values.zip(weights).map(|(value, weight)| value * weight).sum();
            assert!(code.len() == 18 && sum.is_multiple_of(31), "{code}");
        }
    }

    #[test]
    fn yuan_are_grouped() {
        assert_eq!(yuan(Money(123_456_789)), "1,234,567.89 元");
        assert_eq!(yuan(Money(-12_345_600)), "-123,456.00 元");
        assert_eq!(yuan(Money(99)), "0.99 元");
    }
}

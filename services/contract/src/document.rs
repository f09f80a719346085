//! The contract's text. The same terms always give the same text, byte for byte: the parties sign its hash (E1, E2).

use chrono::NaiveDate;
use data_encoding::HEXLOWER;
use kernel::Money;
use sha2::{Digest, Sha256};

use crate::capitals::capitals;

/// What the parties agreed by bidding, and under which terms.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// The contract's id.
    pub contract_id: &'a str,
    /// The listing's id.
    pub listing_id: &'a str,
    /// What is sold.
    pub title: &'a str,
    /// The seller's registered name.
    pub transferor: &'a str,
    /// The buyer's registered name.
    pub transferee: &'a str,
    /// The whole price.
    pub price: Money,
    /// Whether the right is licensed; else it is assigned.
    pub licence: bool,
    /// Working days from effect to payment (G11).
    pub payment_days: u32,
    /// The day on which the award was confirmed, in China Standard Time.
    pub awarded_on: NaiveDate,
}

/// The document of a technology contract (T2). Periods and rates are agreed terms of this contract; only confirmed
/// statutes are named as law.
#[must_use]
pub fn document(terms: &Terms<'_>) -> String {
    let Terms { contract_id, listing_id, price, payment_days, .. } = terms;
    let Wording { kind, seller_side, buyer_side, subject, formalities } =
        if terms.licence { LICENCE } else { ASSIGNMENT };
    let (title, seller, buyer) = (one_line(terms.title), one_line(terms.transferor), one_line(terms.transferee));
    let (capitals, date) = (capitals(*price), terms.awarded_on.format("%Y年%-m月%-d日"));
    format!(
        "技术{kind}合同\n\
         \n\
         合同编号：{contract_id}\n\
         挂牌项目：{listing_id}\n\
         项目名称：{title}\n\
         {seller_side}（甲方）：{seller}\n\
         {buyer_side}（乙方）：{buyer}\n\
         确定受让方日期：{date}\n\
         \n\
         上列项目经公开挂牌，由两人复核确定乙方为受让方。甲乙双方依照《中华人民共和国民法典》订立本合同。\n\
         \n\
         第一条 标的　{subject}其范围、权属和技术内容以挂牌披露的信息为准。\n\
         第二条 价款　人民币{price}元（大写：{capitals}）。此为合同的全部价款。\n\
         第三条 支付　乙方自本合同生效之日起{payment_days}个工作日内，一次付清全部价款至交易机构的结算账户。乙方已交的保证金抵作价款。\n\
         第四条 交付　甲方保证对标的享有处分权，标的上没有未披露的质押、许可或争议，并向乙方交付实施该技术所必需的资料。\n\
         第五条 认定登记　甲方作为卖方，负责在其所在地的技术合同登记机构申请认定登记，乙方予以配合。\n\
         第六条 权利手续　{formalities}\n\
         第七条 保密　双方对因本合同知悉的技术秘密和商业秘密负有保密义务，本合同终止后仍然有效。\n\
         第八条 后续改进　一方后续改进的技术成果归该方所有，另有书面约定的除外。\n\
         第九条 适用规则　本合同适用中华人民共和国法律和交易机构的交易规则；发生争议先行协商，协商不成的，向有管辖权的人民法院起诉。\n\
         第十条 生效　本合同以数据电文订立，双方签署人分别对本文本的SHA-256摘要签署；自后一方签署时起生效。\n"
    )
}

/// SHA-256 of a text as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

/// Where an assignment and a licence differ.
struct Wording {
    kind: &'static str,
    seller_side: &'static str,
    buyer_side: &'static str,
    subject: &'static str,
    formalities: &'static str,
}

/// An assignment takes effect at registration, not at contract or payment (专利法 10).
const ASSIGNMENT: Wording = Wording {
    kind: "转让",
    seller_side: "转让方",
    buyer_side: "受让方",
    subject: "甲方将上列项目的技术成果及其权利转让给乙方。",
    formalities: "标的涉及专利权、专利申请权的，双方应当向国务院专利行政部门登记，转让自登记之日起生效（专利法第十条）；\
                  其他权利依法办理变更手续。",
};

/// A patent licence is recorded within three months (T15); one that names no other kind is an ordinary one (T4).
const LICENCE: Wording = Wording {
    kind: "许可",
    seller_side: "许可方",
    buyer_side: "被许可方",
    subject: "甲方许可乙方实施上列项目的技术成果，许可方式为普通许可。",
    formalities: "标的涉及专利的，甲方应当自本合同生效之日起三个月内向国务院专利行政部门备案（专利法实施细则第十五条）。",
};

/// A title or a name is one line, whatever its author typed: no party writes a clause of its own into the contract.
fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms<'static> {
        Terms {
            contract_id: "contract_1",
            listing_id: "listing_1",
            title: "锂电池隔膜",
            transferor: "四川大学",
            transferee: "成都某公司",
            price: Money(350_000_050),
            licence: false,
            payment_days: 5,
            awarded_on: NaiveDate::from_ymd_opt(2026, 11, 4).unwrap(),
        }
    }

    #[test]
    fn names_parties_price_and_duties() {
        let text = document(&terms());
        for part in [
            "技术转让合同\n",
            "项目名称：锂电池隔膜\n",
            "转让方（甲方）：四川大学\n",
            "受让方（乙方）：成都某公司\n",
            "人民币3500000.50元（大写：叁佰伍拾万元伍角整）",
            "生效之日起5个工作日内",
            "保证金抵作价款",
            "甲方作为卖方，负责",
            "2026年11月4日",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let licence = document(&Terms { licence: true, ..terms() });
        assert!(licence.starts_with("技术许可合同\n") && licence.contains("普通许可"));
        assert!(licence.contains("\n许可方（甲方）：四川大学\n被许可方（乙方）：成都某公司\n"));
    }

    #[test]
    fn the_same_terms_give_the_same_hash_and_other_terms_another() {
        let hash = |terms: &Terms<'_>| sha256_hex(&document(terms));
        assert_eq!(hash(&terms()), hash(&terms()));
        assert_eq!(hash(&terms()).len(), 64);
        assert_ne!(hash(&terms()), hash(&Terms { price: Money(1), ..terms() }));
        assert_ne!(hash(&terms()), hash(&Terms { licence: true, ..terms() }));
    }

    #[test]
    fn a_title_cannot_add_a_clause() {
        let trap = Terms { title: "甲\n第二条 价款　人民币1.00元\r\n\u{85}\u{2028}乙", ..terms() };
        assert_eq!(document(&trap).lines().count(), document(&terms()).lines().count());
        assert!(document(&trap).contains("项目名称：甲 第二条 价款 人民币1.00元 乙\n"));
    }
}

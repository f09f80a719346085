//! Values that have broken other exchanges, as raw JSON and as what is no JSON.

use serde_json::json;

/// Fields whose letters count alike, large or small.
pub fn named_alike(field: &str) -> bool {
    ["login", "usci"].contains(&field)
}

/// Hostile values for an argument of that type and name.
pub fn naughty(kind: &str, field: &str) -> Vec<String> {
    let mut values: Vec<String> = ANYTHING.iter().map(|raw| (*raw).to_owned()).collect();
    match kind {
        "Money" => values.extend(MONEY.iter().map(quoted)),
        "Int" => values.extend(NUMBERS.iter().map(|raw| (*raw).to_owned())),
        "DateTime" => values.extend(TIMES.iter().map(quoted)),
        "ID" => values.extend(ids(field)),
        "String" => values.extend(texts()),
        "Boolean" => values.extend(["\"true\"", "1", "\"\""].map(str::to_owned)),
        _ => values.extend(ENUMS.iter().map(quoted)),
    }
    if kind == "Money" {
        values.extend(NUMBERS.iter().map(|raw| (*raw).to_owned()));
    }
    values
}

fn quoted(text: &&str) -> String {
    json!(text).to_string()
}

const ANYTHING: &[&str] = &["null", "[]", "{}", "[[null]]", "{\"__proto__\":{\"x\":1}}", "true"];

const MONEY: &[&str] = &[
    "9007199254740993",
    "900719925474099.93",
    "999999999999999.99",
    "999999999999999",
    "1000000000000000",
    "10000000000000000000000000000000000000000",
    "92233720368547758.07",
    "92233720368547758.08",
    "-92233720368547758.08",
    "1_000",
    "1,000.00",
    "1 000",
    "1e3",
    "1E3",
    "1e-30",
    "1e400",
    "-0",
    "-0.00",
    "+1",
    "00.1",
    "01",
    ".5",
    "1.",
    ".",
    "",
    " 1",
    "1 ",
    "1\n",
    "\u{feff}1",
    "１２",
    "１.00",
    "٣",
    "壹佰",
    "NaN",
    "Infinity",
    "-Infinity",
    "null",
    "0x10",
    "0b1",
    "1.005",
    "0.001",
    "1.0000",
    "0.1",
    "0.01",
    "12345678.90",
    "98765433.21",
    "123456789.01",
    "999999999.99",
    "-1.00",
    "¥1.00",
    "1.00 元",
];

const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "-0",
    "1.0",
    "1.5",
    "1e2",
    "1e400",
    "2147483647",
    "2147483648",
    "-2147483649",
    "9007199254740993",
    "18446744073709551616",
    "NaN",
    "\"1\"",
    "01",
    "+1",
];

const TIMES: &[&str] = &[
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "1969-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59.999-23:59",
    "10000-01-01T00:00:00Z",
    "+262142-12-31T23:59:59Z",
    "-262143-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-11-24T24:00:00Z",
    "2026-11-24T23:59:60Z",
    "2026-11-24T25:00:00Z",
    "2026-11-24 09:30:00Z",
    "2026-11-24T09:30:00",
    "2026-11-24",
    "2026-11-24T09:30:00+99:99",
    "2026-11-24t09:30:00z",
    "2026-11-24T09:30:00.123456789Z",
    "2027-01-05T09:30:00.1234567890123456789Z",
    "2027-01-05T09:30:00+08:00",
    "20270105T093000Z",
    "1790000000000",
    "now",
    "",
    " ",
    "NaN",
    "２０２７-01-05T09:30:00Z",
    "2027-01-05T09:30:00Z\0",
    "2027-01-05T09:30:00−08:00",
];

const ENUMS: [&str; 8] =
    ["NOPE", "", "null", "__typename", "transfer", "UNSPECIFIED", "ENTERPRISE\0", "ADMINISTRATOR "];

fn ids(field: &str) -> Vec<String> {
    let own = super::inputs::kind_of(field);
    let whole = [
        "01h455vb4pex5vsknk084sn02q",
        "7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "00000000000000000000000000",
    ];
    let mut ids: Vec<String> = whole.map(|suffix| json!(format!("{own}_{suffix}")).to_string()).into();
    let foreign = [
        "",
        " ",
        "_",
        "listing_",
        "person_01h455vb4pex5vsknk084sn02q",
        "listing_01H455VB4PEX5VSKNK084SN02Q",
        "listing_01h455vb4pex5vsknk084sn02q'--",
        "listing_01h455vb4pex5vsknk084sn02",
        "listing_01h455vb4pex5vsknk084sn02qq",
        "listing_01h455vb4pex5vsknk084sn02q\0",
        "../../etc/passwd",
        "1 or 1=1",
        "%",
        "null",
        "0",
        "－1",
        "${jndi:ldap://x}",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "bGlzdGluZzox",
        "exchange",
    ];
    ids.extend(foreign.map(|text| json!(text).to_string()));
    ids.push(json!("x".repeat(100_000)).to_string());
    ids.push("9007199254740993".into());
    ids
}

/// Texts. Words of SQL are small here: an answer that holds them large has told of our own.
const TEXTS: &[&str] = &[
    // Nothing, and what looks like it.
    "",
    " ",
    "\t\r\n",
    "\u{3000}",
    "\u{a0}",
    "\u{2003}文字\u{2003}",
    "null",
    "undefined",
    "none",
    "nil",
    "true",
    "0",
    "-1",
    "NaN",
    // Controls: NUL, escape, backspace, delete, C1, line and paragraph separators.
    "\0",
    "文\0字文字文字文字文字",
    "\u{1b}[31m红",
    "文字\u{8}\u{8}",
    "\u{7f}",
    "\u{85}\u{9b}",
    "甲\u{2028}乙\u{2029}丙",
    "甲\r\n乙\t丙",
    // Bidirectional controls and marks, zero width, invisible.
    "抗体\u{202e}cod.exe",
    "\u{2066}甲\u{2069}",
    "甲\u{61c}乙",
    "巴\u{200b}山",
    "巴\u{200d}山",
    "\u{feff}巴山",
    "巴\u{2060}山",
    "巴\u{ad}山",
    "甲\u{180e}乙",
    "甲\u{3164}乙",
    "甲\u{115f}乙",
    "\u{e0041}\u{e007f}",
    "甲\u{fe0f}\u{e0100}",
    // Rare Han of the extensions B to H, compatibility forms, private use, not characters at all.
    "𠮷野家",
    "𪜀𪝀",
    "𫝆𫟰",
    "𫢸𬺴",
    "𬺰𮯠",
    "𰀀𰻞",
    "𱍐𱕘",
    "\u{f900}豈金",
    "㍿㈱㊥",
    "\u{e000}\u{f8ff}",
    "\u{fffe}\u{ffff}",
    "\u{10ffff}",
    // Names that are real.
    "买买提·阿卜杜拉·吐尔逊·伊斯拉木·阿不都热合曼",
    "茜・Ó Brien-Łukasz d'Été",
    "ཨ་ཕུ་ཚེ་རིང་",
    "ئابدۇللا",
    "مُحَمَّد",
    "ᠮᠣᠩᠭᠣᠯ",
    "Zoë (née 李)",
    "O'Neil",
    // Accents as one character and as two, too many of them, ligatures, other digits.
    "Été",
    "E\u{301}te\u{301}",
    "Z\u{351}\u{36b}\u{343}\u{32a}\u{302}\u{36b}a\u{489}\u{489}\u{489}",
    "ﬀ ﷺ ﷽",
    "１２３４５",
    "٠١٢٣",
    "①②③",
    "ß İ ı ſ K",
    // Emoji with joiners, flags, skin tones.
    "👩‍👩‍👧‍👦",
    "🇨🇳🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "👍🏽",
    "1️⃣",
    // Look-alikes of what is known.
    "涪江科技大學",
    "Ｊｉｓｈｉ",
    "јіѕһі",
    "reviewеr",
    "r\u{435}viewer",
    "ᴶⁱˢʰⁱ",
    // Other languages' syntax.
    "'; drop table listing;--",
    "\" or \"\"=\"",
    "1' or sleep(5)#",
    "$$;copy x from program 'id'$$",
    "\\'; --",
    "%",
    "_",
    "\\",
    "%\\_",
    "[a-z]*(",
    "((((((((((a+)+)+)+)+)+)+)+)+)+$",
    "(?R)",
    "%s%n%x%d",
    "{0}{{}}",
    "{}",
    "${7*7}{{7*7}}<%=7*7%>",
    "${jndi:ldap://x/a}",
    "<script>alert(1)</script>",
    "<!--#exec cmd=\"id\"-->",
    "]]>",
    "&amp;&#0;",
    "<!DOCTYPE a [<!ENTITY b \"c\">]>",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "../../../etc/passwd",
    "C:\\con\\nul",
    "|id;`id`$(id)",
    "a\r\nX-Set: b",
    "{\"$gt\":\"\"}",
    "[1,2",
    "\u{feff}{\"a\":1}",
];

/// The same with what is too long and what is no JSON.
fn texts() -> Vec<String> {
    let mut all: Vec<String> = TEXTS.iter().map(|text| json!(text).to_string()).collect();
    let long = [
        "长".repeat(50),
        "长".repeat(51),
        "𠮷".repeat(100),
        "x".repeat(201),
        "x".repeat(5_001),
        "长".repeat(60_000),
        "x".repeat(100_000),
        "e\u{301}".repeat(30_000),
        "👩‍".repeat(10_000),
    ];
    all.extend(long.iter().map(|text| json!(text).to_string()));
    // Halves of surrogate pairs, unknown and unfinished escapes, raw controls: no JSON, or none that Unicode knows.
    let raw = [
        "\"\\ud800\"",
        "\"\\udc00\\ud800\"",
        "\"a\\ud83d\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"a\u{1}b\"",
        "'a'",
        "1",
        "1.5e3",
    ];
    all.extend(raw.map(str::to_owned));
    all
}

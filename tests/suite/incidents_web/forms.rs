//! Signing in, and forms that are ours or are not.

use poolkeeper::app::Clock;
use poolkeeper::domain::Priority;
use reqwest::header::ORIGIN;
use serde_json::{Value, json};

use super::{Browser, noon, open, signal, status_of, token};
use crate::world::{OPERATOR, REVIEWER, World};

#[tokio::test]
async fn a_browser_signs_in_and_acts_and_the_cookie_holds_no_key() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let path = format!("/api/incidents/{id}");
    let mut browser = Browser::new(&base);
    let page = browser.get(&path).await;
    assert!(page.text.contains("action=\"/api/incidents/sign-in\""));
    assert!(!page.text.contains("name=\"token\""));
    let refused = browser.sign_in("wrong-key", id.as_str()).await;
    assert_eq!((refused.status, refused.cookie.as_str()), (401, ""));
    assert!(
        refused.text.contains("this key is nobody&#39;s"),
        "{}",
        refused.text
    );
    let signed = browser.sign_in(OPERATOR, id.as_str()).await;
    assert_eq!((signed.status, signed.place.as_str()), (303, path.as_str()));
    assert!(
        signed
            .cookie
            .ends_with("; Path=/api; HttpOnly; SameSite=Strict"),
        "{}",
        signed.cookie
    );
    assert!(!signed.cookie.contains(OPERATOR));
    let page = browser.get(&path).await;
    let token = token(&page.text).to_owned();
    let done = browser
        .post(
            &format!("{path}/ack"),
            &[("token", &token), ("reason", ""), ("minutes", "")],
        )
        .await;
    assert_eq!(
        (done.status, done.place.as_str()),
        (303, path.as_str()),
        "{}",
        done.text
    );
    assert_eq!(status_of(&world, &base, &id).await, "acknowledged");
    // A refusal is a page, with what to do.
    let refused = browser
        .post(&format!("{path}/resolve"), &[("token", &token)])
        .await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text.contains("resolving needs a reason"),
        "{}",
        refused.text
    );
    let back = format!("<a class=\"target\" href=\"{path}\">");
    assert!(refused.text.contains(&back), "{}", refused.text);
    let done = browser
        .post(
            &format!("{path}/resolve"),
            &[("token", &token), ("reason", "done")],
        )
        .await;
    assert_eq!(done.status, 303);
    assert_eq!(status_of(&world, &base, &id).await, "resolved");
    let elsewhere = browser.sign_in(OPERATOR, "https://evil.example/").await;
    assert_eq!(elsewhere.place, "/api/incidents");
    let out = browser.post("/api/incidents/sign-out", &[]).await;
    assert_eq!(out.status, 303);
    assert!(
        out.cookie.starts_with("poolkeeper-session=;"),
        "{}",
        out.cookie
    );
    assert!(out.cookie.contains("Max-Age=0"));
    for (path, part) in [
        (
            "/api/incidents/inc-0123456789ab-1",
            "there is no such incident",
        ),
        ("/api/incidents/nothing", "there is no such incident"),
        (
            "/api/incidents/inc-0123456789ab-1/ack",
            "an action has no page",
        ),
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.text.contains(part), "{path}: {}", page.text);
        assert!(page.text.starts_with("<!doctype html>"), "{path}");
    }
}

#[tokio::test]
async fn a_form_from_elsewhere_or_with_a_cookie_that_was_made_up_does_nothing() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let path = format!("/api/incidents/{id}/ack");
    let mut browser = Browser::new(&base);
    browser.sign_in(OPERATOR, "").await;
    let page = browser.get(&format!("/api/incidents/{id}")).await;
    let own = token(&page.text).to_owned();
    let mut other = Browser::new(&base);
    other.sign_in(REVIEWER, "").await;
    let page = other.get(&format!("/api/incidents/{id}")).await;
    let others = token(&page.text).to_owned();
    let (until, signed) = own.split_once('.').expect("two parts");
    let longer = format!("{}.{signed}", until.parse::<i64>().expect("a number") + 1);

    let ours = ("sec-fetch-site", "same-origin");
    let with = |token: &str| browser.form(&path, &[("token", token)]);
    for (name, form, status) in [
        (
            "foreign origin",
            with(&own).header(ORIGIN, "https://evil.example"),
            403,
        ),
        (
            "another port",
            with(&own).header(ORIGIN, "http://127.0.0.1:1"),
            403,
        ),
        (
            "another site, as its browser says",
            with(&own).header("sec-fetch-site", "cross-site"),
            403,
        ),
        (
            "same site",
            with(&own).header("sec-fetch-site", "same-site"),
            403,
        ),
        (
            "no origin that can be told",
            with(&own).header(ORIGIN, "null"),
            403,
        ),
        ("nothing says where from", with(&own), 403),
        (
            "no token",
            browser.form(&path, &[]).header(ours.0, ours.1),
            403,
        ),
        ("an empty token", with("").header(ours.0, ours.1), 403),
        (
            "a token that was made up",
            with("9999999999.AAAA").header(ours.0, ours.1),
            403,
        ),
        (
            "somebody else's token",
            with(&others).header(ours.0, ours.1),
            403,
        ),
        (
            "a token that was made longer",
            with(&longer).header(ours.0, ours.1),
            403,
        ),
    ] {
        let answer = browser.send(form).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    // JSON with a cookie, to this function and to another one.
    let changes = format!("{base}/api/changes/kill-switch/on");
    for url in [format!("{base}{path}"), changes] {
        let json = browser.http.post(url).json(&json!({ "reason": "x" }));
        assert_eq!(browser.send(json).await.status, 403);
    }
    let own_cookie = browser.cookie.clone();
    let (name, value) = own_cookie.split_once('=').expect("a cookie");
    let parts: Vec<&str> = value.split('.').collect();
    let reviewer = other.cookie.split_once('=').expect("a cookie").1;
    let reviewer = reviewer.split('.').next().expect("a name");
    for (what, forged) in [
        (
            "another's name",
            format!("{reviewer}.{}", parts[1..].join(".")),
        ),
        (
            "another end",
            format!("{}.9999999999.{}", parts[0], parts[2..].join(".")),
        ),
        (
            "another number",
            format!("{}.{}.0.{}", parts[0], parts[1], parts[3]),
        ),
        ("no signature", format!("{}.", parts[..3].join("."))),
        ("one part more", format!("{value}.x")),
        ("the key itself", OPERATOR.to_owned()),
        ("nothing", String::new()),
    ] {
        browser.cookie = format!("{name}={forged}");
        let answer = browser.post(&path, &[("token", &own)]).await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        assert!(answer.text.contains("sign in"), "{what}: {}", answer.text);
    }
    assert_eq!(status_of(&world, &base, &id).await, "open");
    // Half a day later the same cookie is nobody's.
    let later = noon() + chrono::Duration::hours(12);
    browser.base = world.handler(Clock::Fixed(later)).await;
    browser.cookie.clone_from(&own_cookie);
    assert_eq!(browser.post(&path, &[("token", &own)]).await.status, 401);
    // With another key of the same person it is, too.
    let mut settings = world.settings();
    settings.insert(
        "POOLKEEPER_OPERATOR_KEYS".into(),
        "operator:another-key-0123456789".into(),
    );
    browser.base = world.handler_with(settings, Clock::Fixed(noon())).await;
    assert_eq!(browser.post(&path, &[("token", &own)]).await.status, 401);
    // And what is right is taken.
    browser.base.clone_from(&base);
    assert_eq!(browser.post(&path, &[("token", &own)]).await.status, 303);
    assert_eq!(status_of(&world, &base, &id).await, "acknowledged");
}

#[tokio::test]
async fn where_the_platform_signs_people_in_it_alone_says_who_reads_and_acts() {
    let world = World::start().await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let mut signed = Browser::new(&world.handler(Clock::Fixed(noon())).await);
    signed.sign_in(OPERATOR, "").await;
    let mut settings = world.settings();
    settings.insert("POOLKEEPER_EASY_AUTH".into(), "true".into());
    let base = world.handler_with(settings, Clock::Fixed(noon())).await;
    signed.base.clone_from(&base);
    let path = format!("/api/incidents/{id}");
    for path in ["/api/incidents", &path] {
        let page = signed.get(path).await;
        assert_eq!(page.status, 401, "{path}: a cookie of keys is nothing here");
        assert!(page.text.contains("/.auth/login/aad"), "{}", page.text);
        assert!(!page.text.contains("slow"), "{}", page.text);
        let json = world.http.get(format!("{base}{path}")).send().await;
        assert_eq!(json.expect("an answer").status(), 401, "{path}");
    }
    assert_eq!(signed.sign_in(OPERATOR, "").await.status, 409);
    let principal = |name: &str| {
        use base64::Engine as _;
        let claims = json!({
            "auth_typ": "aad", "name_typ": "upn", "role_typ": "roles",
            "claims": [{ "typ": "upn", "val": name }, { "typ": "oid", "val": "1" }],
        });
        base64::prelude::BASE64_STANDARD.encode(claims.to_string())
    };
    let browser = Browser::new(&base);
    let ann = principal("ann@example.com");
    let by = |request: reqwest::RequestBuilder, who: &str| {
        request.header("x-ms-client-principal", who.to_owned())
    };
    let page = browser
        .send(by(browser.http.get(format!("{base}{path}")), &ann))
        .await;
    assert_eq!(page.status, 200);
    let token = token(&page.text).to_owned();
    let act = format!("{path}/ack");
    let ours = |token: &str| {
        let form = browser.form(&act, &[("token", token)]);
        form.header("sec-fetch-site", "same-origin")
    };
    for (name, form, status) in [
        ("no token", by(ours(""), &ann), 403),
        (
            "of another person",
            by(ours(&token), &principal("bob@example.com")),
            403,
        ),
        (
            "from nowhere",
            by(browser.form(&act, &[("token", &token)]), &ann),
            403,
        ),
        ("of nobody", ours(&token), 401),
        ("right", by(ours(&token), &ann), 303),
    ] {
        let answer = browser.send(form).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.text);
    }
    // As JSON: only what no other site can make a browser send.
    let json = r#"{"reason":"looking"}"#;
    let comment = || {
        let url = format!("{base}{path}/comment");
        by(world.http.post(url).body(json), &ann)
    };
    let cookie = "AppServiceAuthSession=x";
    for (name, request, status) in [
        ("no kind", comment(), 415),
        (
            "plain text",
            comment().header("content-type", "text/plain"),
            415,
        ),
        (
            "JSON, and a cookie from nowhere",
            comment()
                .header("content-type", "application/json")
                .header("cookie", cookie),
            403,
        ),
        (
            "from another site",
            comment()
                .header("content-type", "application/json")
                .header("sec-fetch-site", "cross-site"),
            403,
        ),
        (
            "from a page of ours",
            comment()
                .header("content-type", "application/json")
                .header("cookie", cookie)
                .header("sec-fetch-site", "same-origin"),
            200,
        ),
        (
            "a program",
            comment().header("content-type", "application/json"),
            200,
        ),
    ] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), status, "{name}");
    }
    let url = format!("{base}{path}");
    let shown = by(world.http.get(url), &ann)
        .send()
        .await
        .expect("an answer");
    let shown: Value = shown.json().await.expect("JSON");
    assert_eq!(shown["acknowledgement"]["by"], "ann@example.com <1>");
}

#[tokio::test]
async fn whoever_signed_out_is_signed_out_also_where_the_cookie_was_copied_to() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let id = open(&world, &signal("p95", "tenant-a", Priority::High, "slow")).await;
    let path = format!("/api/incidents/{id}");
    let mut browser = Browser::new(&base);
    browser.sign_in(OPERATOR, "").await;
    let mut other = Browser::new(&base);
    other.sign_in(REVIEWER, "").await;
    let page = browser.get(&path).await;
    let form = token(&page.text).to_owned();
    let mut copied = Browser::new(&base);
    copied.cookie.clone_from(&browser.cookie);
    for _ in 0..2 {
        assert_eq!(
            browser.post("/api/incidents/sign-out", &[]).await.status,
            303
        );
    }
    // In another process as well.
    for base in [base.clone(), world.handler(Clock::Fixed(noon())).await] {
        copied.base = base;
        let act = format!("{path}/ack");
        let answer = copied.post(&act, &[("token", &form)]).await;
        assert_eq!(answer.status, 401, "{}", answer.text);
        let page = copied.get(&path).await;
        assert!(!page.text.contains("name=\"token\""), "{}", page.text);
    }
    let page = other.get(&path).await;
    let form = token(&page.text).to_owned();
    let done = other
        .post(&format!("{path}/ack"), &[("token", &form)])
        .await;
    assert_eq!(done.status, 303, "{}", done.text);
    // Signed in again, also in the same second, it is another session.
    browser.sign_in(OPERATOR, "").await;
    let page = browser.get(&path).await;
    assert!(page.text.contains("name=\"token\""), "{}", page.text);
    let later = noon() + chrono::Duration::hours(13);
    let mut again = Browser::new(&world.handler(Clock::Fixed(later)).await);
    again.sign_in(OPERATOR, "").await;
    let page = again.get(&path).await;
    assert!(page.text.contains("name=\"token\""), "{}", page.text);
    // What has ended by itself is forgotten.
    let store = world.app(Clock::Fixed(later));
    let store = store.store().expect("a store");
    let kept = || async { store.list_all("controls/sign-outs/").await.expect("a list") };
    assert_eq!(kept().await.len(), 1);
    again.post("/api/incidents/sign-out", &[]).await;
    assert_eq!(kept().await.len(), 1, "the new one only");
}

#[tokio::test]
async fn a_browser_that_another_site_made_send_a_form_gets_a_page_and_a_program_json() {
    let world = World::start().await;
    let base = world.handler(Clock::Fixed(noon())).await;
    let browser = Browser::new(&base);
    let form = browser.form("/api/incidents/sign-in", &[("key", OPERATOR)]);
    let answer = browser
        .send(form.header(ORIGIN, "https://evil.example"))
        .await;
    assert_eq!((answer.status, answer.cookie.as_str()), (403, ""));
    assert!(
        answer.text.starts_with("<!doctype html>"),
        "{}",
        answer.text
    );
    assert!(answer.text.contains("not taken from other sites"));
    assert!(answer.headers.contains_key("content-security-policy"));
    let answer = world
        .http
        .post(format!("{base}/api/incidents/sign-in"))
        .header(ORIGIN, "https://evil.example")
        .json(&json!({ "key": OPERATOR }))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 403);
    let why: Value = answer.json().await.expect("JSON");
    assert!(
        why["error"]
            .as_str()
            .expect("a reason")
            .contains("other sites")
    );
}

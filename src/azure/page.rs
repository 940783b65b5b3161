use std::collections::HashSet;

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Action, Azure, Error, Plane};

/// More pages than any list of ours has: a list that goes on is a loop.
const MOST_PAGES: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    #[serde(default = "Vec::new")]
    value: Vec<T>,
    /// Graph writes it in its own way.
    #[serde(alias = "@odata.nextLink")]
    next_link: Option<String>,
}

impl Azure {
    /// Reads a whole list, page after page. A next link is used as it is given, and only if it
    /// leads to the same service.
    pub async fn list<T: DeserializeOwned>(
        &self,
        plane: Plane,
        first: Url,
        action: Action,
        what: &str,
    ) -> Result<Vec<T>, Error> {
        let unexpected = |why: String| Error::Unexpected {
            what: what.to_owned(),
            why,
        };
        let (mut items, mut seen) = (Vec::new(), HashSet::new());
        let mut url = first;
        for _ in 0..MOST_PAGES {
            let page: Page<T> = self.get(plane, url.clone(), action, what).await?;
            items.extend(page.value);
            let Some(next) = page.next_link.filter(|link| !link.is_empty()) else {
                return Ok(items);
            };
            let next = Url::parse(&next).map_err(|e| unexpected(format!("next link: {e}")))?;
            if !seen.insert(next.clone()) {
                return Err(unexpected("the next links lead round in a circle".into()));
            }
            url = next;
        }
        Err(unexpected(format!("more than {MOST_PAGES} pages")))
    }
}

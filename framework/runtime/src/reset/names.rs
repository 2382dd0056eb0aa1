//! Whose an internal topic is, as far as names tell. Pure.
//!
//! `app-2-counts-changelog` is the changelog of store `2-counts` of application `app`, or of store
//! `counts` of application `app-2`. Invariant: what may be another application's is never called
//! this one's.

use std::collections::BTreeSet;
use std::sync::Arc;

use oncestream_core::graph::internal_name;

use super::WrongTopic;
use super::plan::Notice;

/// Whose a topic is that is called as an internal one of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The application's: no longer id can be in its name.
    This,
    /// That of an application with a longer id.
    Other(String),
    /// Not to be told: a longer id could be in its name.
    Unsure,
}

/// Whose a topic is, given other applications; `None` if it is no internal topic of this id.
pub(super) fn owner(application_id: &str, topic: &str, others: &[String]) -> Option<Owner> {
    let name = internal_name(application_id, topic)?;
    let longer = others.iter().filter(|other| {
        other.len() > application_id.len() && internal_name(other, topic).is_some()
    });
    Some(match longer.max_by_key(|other| other.len()) {
        Some(other) => Owner::Other(other.clone()),
        None if name.contains('-') => Owner::Unsure,
        None => Owner::This,
    })
}

/// Which of the internal topics that were found are deleted, and what is wrong with the names given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) delete: Vec<Arc<str>>,
    pub(super) unsure: Vec<String>,
    pub(super) wrong: Vec<WrongTopic>,
    pub(super) notices: Vec<Notice>,
}

/// Chooses by the owners, or by the names that were given: those `of_topology`, which need not be
/// there, and those that were `named`.
pub(super) fn choose(
    application_id: &str,
    found: &[(Arc<str>, Owner)],
    of_topology: Option<&BTreeSet<Arc<str>>>,
    named: &BTreeSet<Arc<str>>,
) -> Choice {
    let mut choice = Choice::default();
    let by_owner = of_topology.is_none() && named.is_empty();
    let is_wanted =
        |topic: &Arc<str>| named.contains(topic) || of_topology.is_some_and(|t| t.contains(topic));
    let mut others = Vec::new();
    for (topic, owner) in found {
        let name = topic.to_string();
        match owner {
            _ if is_wanted(topic) => choice.delete.push(topic.clone()),
            Owner::This if by_owner => choice.delete.push(topic.clone()),
            Owner::Unsure if by_owner => choice.unsure.push(name),
            Owner::This | Owner::Unsure => others.push(name),
            Owner::Other(application_id) => {
                let application_id = application_id.clone();
                choice.notices.push(Notice::LeftToOther { topic: name, application_id });
            }
        }
    }
    for topic in named.iter().filter(|named| !found.iter().any(|(topic, _)| topic == *named)) {
        let (topic, others) = (topic.to_string(), others.clone());
        if internal_name(application_id, &topic).is_none() {
            choice.wrong.push(WrongTopic::NotInternal { topic });
        } else if others.is_empty() {
            // A reset that is run a second time.
            choice.notices.push(Notice::AlreadyGone { topic });
        } else {
            choice.wrong.push(WrongTopic::InternalNotThere { topic, others });
        }
    }
    choice.notices.extend(others.into_iter().map(|topic| Notice::NotNamed { topic }));
    choice
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(application_id: &str, topic: &str, groups: &[&str]) -> Option<Owner> {
        let groups: Vec<String> = groups.iter().map(|g| (*g).to_owned()).collect();
        owner(application_id, topic, &groups)
    }

    #[test]
    fn a_topic_in_whose_name_no_other_id_fits_is_the_applications() {
        let groups = ["app", "app-2", "ap", "app-counts-changelog", "app-counts"];
        for topic in ["app-counts-changelog", "app-counts-repartition"] {
            assert_eq!(of("app", topic, &groups), Some(Owner::This), "{topic}");
            assert_eq!(of("app", topic, &[]), Some(Owner::This), "{topic}");
        }
        assert_eq!(of("app-2", "app-2-counts-changelog", &groups), Some(Owner::This));
    }

    #[test]
    fn a_topic_in_whose_name_another_applications_id_fits_is_that_ones() {
        let is = |groups: &[&str]| of("app", "app-2-x-counts-changelog", groups);
        assert_eq!(is(&["app", "app-2"]), Some(Owner::Other("app-2".to_owned())));
        assert_eq!(is(&["app-2-x", "app-2", "app"]), Some(Owner::Other("app-2-x".to_owned())));
    }

    #[test]
    fn without_that_application_it_is_not_known_whose_it_is() {
        assert_eq!(of("app", "app-2-counts-changelog", &["app", "other"]), Some(Owner::Unsure));
    }

    #[test]
    fn what_is_called_otherwise_is_no_internal_topic() {
        for topic in ["app-counts", "appl-counts-changelog", "app--changelog", "x-app-c-changelog"]
        {
            assert_eq!(of("app", topic, &[]), None, "{topic}");
        }
    }

    fn chosen(of_topology: Option<&[&str]>, named: &[&str]) -> Choice {
        let group = Owner::Other("app-2".to_owned());
        let found = [
            ("app-a-changelog".into(), Owner::This),
            ("app-2-a-changelog".into(), group),
            ("app-b-c-changelog".into(), Owner::Unsure),
        ];
        let set = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        choose("app", &found, of_topology.map(set).as_ref(), &set(named))
    }

    fn left_to_other() -> Notice {
        Notice::LeftToOther { topic: "app-2-a-changelog".into(), application_id: "app-2".into() }
    }

    #[test]
    fn without_names_what_is_surely_its_own_is_deleted_and_what_is_not_is_told() {
        let choice = chosen(None, &[]);
        assert_eq!(choice.delete, ["app-a-changelog".into()]);
        assert_eq!(choice.unsure, ["app-b-c-changelog"]);
        assert_eq!(choice.notices, [left_to_other()]);
    }

    #[test]
    fn a_topology_tells_exactly_and_its_topics_need_not_be_there() {
        let choice = chosen(Some(&["app-b-c-changelog", "app-d-changelog"]), &[]);
        assert_eq!(choice.delete, ["app-b-c-changelog".into()]);
        assert_eq!((choice.unsure.len(), choice.wrong.len()), (0, 0));
        let not_named = Notice::NotNamed { topic: "app-a-changelog".into() };
        assert_eq!(choice.notices, [left_to_other(), not_named]);
    }

    #[test]
    fn of_names_that_are_given_all_wrong_ones_are_told() {
        let choice = chosen(None, &["app-a-changelog", "app-bc-changelog", "lines"]);
        assert_eq!(choice.delete, ["app-a-changelog".into()]);
        let others = vec!["app-b-c-changelog".to_owned()];
        assert_eq!(
            choice.wrong,
            [
                WrongTopic::InternalNotThere { topic: "app-bc-changelog".into(), others },
                WrongTopic::NotInternal { topic: "lines".into() },
            ]
        );
    }

    #[test]
    fn a_name_of_a_topic_that_is_gone_is_no_error_when_all_others_are_named() {
        let choice = chosen(None, &["app-a-changelog", "app-b-c-changelog", "app-d-changelog"]);
        assert_eq!((choice.delete.len(), choice.wrong.len()), (2, 0));
        let gone = Notice::AlreadyGone { topic: "app-d-changelog".into() };
        assert_eq!(choice.notices, [left_to_other(), gone]);
    }
}

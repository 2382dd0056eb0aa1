//! The forms are those the decoder knows, and lengths that lie are found.

use bytes::Bytes;
use kafka_protocol::messages::RequestKind;

use super::frames::{Random, body};
use crate::server::apis::APIS;
use crate::server::shape::{ShapeError, check, check_header};

#[test]
fn every_form_is_the_one_the_decoder_knows() {
    let mut random = Random::new(1);
    let mut versions = 0;
    for api in APIS {
        for version in api.min..=api.max {
            let flexible = version >= api.flexible;
            for _ in 0..50 {
                let mut bytes = Vec::new();
                body(&mut random, api.shape(version), flexible, &mut bytes);
                check(api.shape(version), flexible, &bytes).unwrap();
                let mut rest = Bytes::from(bytes);
                let decoded = RequestKind::decode(api.key, &mut rest, version);
                let what = format!("{:?} version {version}", api.key);
                decoded.unwrap_or_else(|error| panic!("{what}: {error:#}"));
                assert!(rest.is_empty(), "{what}: {} bytes left", rest.len());
            }
            versions += 1;
        }
    }
    assert!(versions > 140, "{versions}");
}

#[test]
fn a_request_that_is_cut_short_is_found_at_every_byte() {
    let mut random = Random::new(2);
    for api in APIS {
        let (version, flexible) = (api.max, api.max >= api.flexible);
        let mut bytes = Vec::new();
        body(&mut random, api.shape(version), flexible, &mut bytes);
        for end in 0..bytes.len() {
            assert!(check(api.shape(version), flexible, &bytes[..end]).is_err());
        }
    }
}

#[test]
fn a_length_that_claims_more_than_there_is_reserves_nothing() {
    let many = i32::MAX.to_be_bytes();
    assert_eq!(check("(s)", false, &many), Err(ShapeError::Length));
    assert_eq!(check("[4]", false, &(-2_i32).to_be_bytes()), Err(ShapeError::Length));
    assert_eq!(check("[4]", true, &[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(ShapeError::Length));
    assert_eq!(check("b", true, &[0xff; 6]), Err(ShapeError::Length));
    assert_eq!(check("s", false, &[0x7f, 0xff, 1]), Err(ShapeError::Truncated));
    assert_eq!(check("[4]", false, &(-1_i32).to_be_bytes()), Ok(()), "null");
    let mut million = 2_000_000_i32.to_be_bytes().to_vec();
    million.resize(2_000_004, 0);
    assert_eq!(check("[1]", false, &million), Err(ShapeError::TooMany));
    assert_eq!(check_header(false, &[0xff, 0xff]), Ok(2), "a null client id");
    assert_eq!(check_header(true, &[0, 1]), Err(ShapeError::Truncated));
}

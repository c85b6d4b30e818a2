//! The clouds whose machines can show a document about themselves.

/// A cloud whose metadata service signs documents for its machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cloud {
    AlibabaCloudEcs,
    AwsEc2,
}

//! The rules that a spec must keep, as data: messages, tests and reference pages read the same list.

/// One thing that a spec must keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable id; a report shows it as `refarch::spec::ID`.
    pub id: &'static str,
    /// What the rule asks for.
    pub summary: &'static str,
    /// What to do about a spec that breaks it.
    pub help: &'static str,
    /// Whether breaking it is only worth a warning.
    pub warns: bool,
}

macro_rules! rules {
    ($($kind:ident $name:ident $id:literal: $summary:literal => $help:literal;)*) => {
        $(
            #[doc = $summary]
            pub(super) static $name: Rule =
                Rule { id: $id, summary: $summary, help: $help, warns: rules!(@ $kind) };
        )*

        static ALL: &[&Rule] = &[$(&$name),*];
    };
    (@ refuse) => { false };
    (@ warn) => { true };
}

rules! {
    // The file.
    refuse TOO_LARGE "too-large": "a spec has at most 1 MiB and 20,000 values" => "check that this is the file you meant";
    refuse LONG_LINE "long-line": "a line of a spec has at most 4,096 bytes" => "check that this is the file you meant, or break the line";
    refuse NOT_UTF8 "not-utf8": "a spec is UTF-8 text" => "save the file as UTF-8";
    refuse EMPTY "empty": "a spec says something" => "start from `examples/lab-1k.yml`";
    refuse TAB "tab": "YAML is indented with spaces, never with tabs" => "replace each tab at the beginning of a line with spaces";
    refuse SYNTAX "syntax": "a spec is valid YAML" => "correct the YAML at this place or just before it";
    refuse SEVERAL_DOCUMENTS "several-documents": "a file holds one spec" => "put each spec in a file of its own";
    refuse TAG "tag": "a spec has no YAML tags of other programs" => "remove the word that begins with `!`, or quote the value";
    refuse ALIASES "aliases": "aliases repeat little and never themselves" => "write the values out instead of repeating them with aliases";
    refuse NESTING "nesting": "a spec nests at most 32 levels deep" => "check that this is the file you meant";
    refuse SECRET "secret": "a secret is never written in a spec" => "remove the secret from the file and revoke it, because it has been written down";

    // The shape.
    refuse FORMAT "format": "`refarch` names a format that this refarch reads" => "write `refarch: 1`, or use the refarch that the spec was written for";
    refuse MISSING_KEY "missing-key": "keys without a default are there" => "add the key";
    refuse UNKNOWN_KEY "unknown-key": "every key means something" => "correct the key, or remove it";
    refuse DUPLICATE_KEY "duplicate-key": "a key stands once in its block" => "keep one of them and remove the others";
    refuse KEY_NOT_TEXT "key-not-text": "keys are words" => "write the key as a word";
    refuse MERGE_KEY "merge-key": "blocks are written out, not merged with `<<`" => "write the merged keys out";
    refuse WRONG_TYPE "wrong-type": "a value has the type that its key asks for" => "write the value as the key asks for it";
    refuse EMPTY_VALUE "empty-value": "a key that is there has a value" => "give the key a value, or remove it";
    refuse CHOICE "choice": "where one of several must be chosen, one is" => "choose one";
    refuse CHOICE_SEVERAL "choice-several": "where one of several must be chosen, only one is" => "keep one and remove the others";
    refuse CHOICE_UNKNOWN "choice-unknown": "what is chosen is among the choices" => "choose one that exists";

    // The values.
    refuse NAME "name": "a name has 2 to 30 lower-case letters, digits and single dashes, and begins with a letter" => "choose a name like `acme-prod`";
    refuse ARCHITECTURE "architecture": "`architecture` names a reference architecture" => "set `architecture` to a size from `1k` to `50k`";
    refuse DEMAND "demand": "there is at least one user, and at least one kind of request" => "write the numbers of the busiest time";
    refuse DEMAND_TOO_LARGE "demand-too-large": "no more is asked for than the largest reference architecture is documented for: 50,000 users, or 1,000 API, 100 web, 100 Git pull and 20 Git push requests a second" => "have this installation designed by people: GitLab's Professional Services, or see https://docs.gitlab.com/install/sizing/; `architecture: 50k` builds the largest that is documented";
    refuse VERSION "version": "a GitLab version is x.y.z" => "write the full version in quotes";
    refuse VERSION_UNQUOTED "version-unquoted": "a GitLab version stands in quotes" => "put the version in quotes";
    refuse VERSION_UNSUPPORTED "version-unsupported": "the GitLab version is one that refarch can configure" => "choose a version from GitLab 18.5 to 19.3";
    refuse URL "url": "`gitlab.url` is a URL" => "write https and a host name";
    refuse URL_SCHEME "url-scheme": "GitLab is served over https" => "write `https://`";
    refuse URL_HOST "url-host": "GitLab's host is a DNS name with a dot, in lower case" => "give GitLab a DNS name";
    refuse URL_PORT "url-port": "the port is free for https" => "remove the port, or choose another one";
    refuse URL_PATH "url-path": "GitLab has a host name of its own" => "remove what follows the host name";
    refuse URL_CREDENTIALS "url-credentials": "no URL carries a user name or a password" => "remove everything up to the `@`, and change the password";
    refuse CIDR "cidr": "a network is an address, a slash and a prefix length" => "write the network as in `10.20.0.0/24`";
    refuse PACKAGE_FILE "package-file": "the package is a gitlab-ee .deb for amd64" => "name a gitlab-ee package for amd64";
    refuse PACKAGE_VERSION "package-version": "the package carries the version that the spec asks for" => "correct `version`, or name the package of that version";
    refuse PACKAGE_URL "package-url": "packages are downloaded over https or http" => "write an http or https URL";
    refuse PACKAGE_SHA256 "package-sha256": "a SHA-256 is 64 hexadecimal digits" => "copy the digits that `sha256sum FILE` prints";
    refuse PACKAGE_REPOSITORY "package-repository": "distribution, components and key file are as in an apt source" => "copy them from the apt source";
    refuse SECRET_ENV "secret-env": "an environment variable's name has letters, digits and underscores, and begins with no digit" => "write the name alone, as in `env: SMTP_PASSWORD`";
    refuse SECRET_REFERENCE "secret-reference": "a secret is referred to by a variable or a file" => "write `{secret: {env: NAME}}` or `{secret: {file: PATH}}`";
    refuse NODE_SIZE "node-size": "a size is a number that a machine or a disk can have" => "correct the number";
    refuse NODE_TOO_SMALL "node-too-small": "a machine has at least the vCPU and memory of its architecture, or on a 3k what any node needs" => "make it larger, or remove the key";
    refuse COMPONENT_ABSENT "component-absent": "a component that is named is one that the architecture has" => "remove it";
    refuse NODES_TOO_FEW "nodes-too-few": "a component has at least the nodes of its architecture; on a 3k, some have two" => "raise the number, or remove the key";
    refuse NODES_TOO_MANY "nodes-too-many": "only Rails, Sidekiq and sharded Gitaly have more nodes than their architecture" => "lower the number, or remove the key";
    refuse NODE_QUORUM "node-quorum": "who decides by majority has an odd number of nodes, and at least three" => "remove the key";
    refuse NODE_UNKNOWN "node-unknown": "a node that is named exists" => "correct the name";
    refuse DISK_TOO_SMALL "disk-too-small": "a disk has room for what GitLab's requirements ask" => "make it larger, or remove the key";
    refuse MODIFICATION "modification": "a modification is one that the documentation supports for the architecture" => "remove it";
    refuse MANAGED_HOST "managed-host": "an external service has a DNS name or an address" => "write the name alone";
    refuse MANAGED_PORT "managed-port": "a port goes from 1 to 65535" => "correct the number";
    refuse MANAGED_NAME "managed-name": "names of users, databases, regions and buckets are words" => "correct the name";
    refuse MANAGED_ENDPOINT "managed-endpoint": "an object storage has an http or https address" => "write scheme and host";
    refuse MANAGED_REDIS "managed-redis": "an external Redis has one primary: no Redis Cluster, and not serverless" => "name a Redis or Valkey with one primary and replicas";
    refuse POOL_NAME "pool-name": "each pool has a name of its own, of lower-case letters and digits" => "choose a name like `urgent`";
    refuse DISK_NONE "disk-none": "a disk that is sized is one that the component has" => "remove the key";
    refuse SETTING_OWNED "setting-owned": "what the spec, the architecture or refarch's own secrets decide is not set by hand" => "remove the key";
    refuse SETTING_UNKNOWN "setting-unknown": "a key of `settings` is one that gitlab.rb has" => "correct the key: the package would ignore it without a word";
    refuse SETTING_LATER "setting-later": "a key of `settings` is there in the GitLab version" => "remove it, or choose a later version";
    refuse SETTING_GONE "setting-gone": "a key of `settings` is still there in the GitLab version" => "remove it";
    refuse SETTING_VALUE "setting-value": "a value of `settings` is one that its key can take" => "write the value as the key asks for it";
    refuse SETTING_SECRET "setting-secret": "a secret in `settings` is given by reference" => "write `{secret: {env: NAME}}`";

    // Worth a warning.
    warn VERSION_NEWER "version-newer": "the keys of the GitLab version have been read" => "look through that version's upgrade notes for changed gitlab.rb keys";
    warn VERSION_FAULTY "version-faulty": "the GitLab version has no fault that a later patch mended" => "choose the latest patch of that minor version";
    warn MANAGED_POSTGRES "managed-postgres": "an external PostgreSQL is one that GitLab was tested with" => "name an instance of PostgreSQL that is neither Aurora nor behind a proxy";
    warn MANAGED_REDIS_SINGLE "managed-redis-single": "from 10k on, caches have a Redis of their own" => "leave Redis to refarch, which makes two, or watch its memory";
    warn ALLOWLIST_EVERYONE "allowlist-everyone": "health and metrics are not open to everyone" => "name the networks of your monitoring";
    warn ALLOWLIST_REPEATED "allowlist-repeated": "a network stands once in the allowlist" => "remove the repetition";
}

/// Every rule of the spec.
#[must_use]
pub fn rules() -> &'static [&'static Rule] {
    ALL
}

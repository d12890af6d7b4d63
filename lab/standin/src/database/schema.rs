//! The tables of each release that changed them, oldest first. Names are GitLab's where its documentation
//! (the SQL in its troubleshooting pages and the REST API's field names) shows them.

/// Version and statements of each migration.
pub const MIGRATIONS: [(&str, &str); 10] = [
    ("20260101000001", USERS),
    ("20260101000002", APPLICATION_SETTINGS),
    ("20260201000001", NAMESPACES),
    ("20260201000002", PROJECTS),
    ("20260201000003", MEMBERS_AND_TOKENS),
    ("20260201000004", KEYS),
    ("20260201000005", LFS),
    ("20260201000006", ISSUES_AND_MERGE_REQUESTS),
    ("20260201000007", UPLOADS_AND_PACKAGES),
    ("20260301000001", EXPORTS),
];

const USERS: &str = "
CREATE TABLE users (
  id bigserial PRIMARY KEY,
  username varchar NOT NULL UNIQUE,
  name varchar NOT NULL,
  email varchar NOT NULL UNIQUE,
  admin boolean NOT NULL DEFAULT false,
  encrypted_password varchar NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())";

const APPLICATION_SETTINGS: &str = "
CREATE TABLE application_settings (
  id bigserial PRIMARY KEY,
  runners_registration_token_encrypted varchar NOT NULL)";

// Times leave as GitLab's API writes them. Paths are unique whatever their case, over users, groups and projects alike.
const NAMESPACES: &str = "
CREATE FUNCTION iso8601(timestamptz) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT to_char($1 AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') $$;
ALTER TABLE users ADD COLUMN state varchar NOT NULL DEFAULT 'active';
CREATE TABLE namespaces (
  id bigserial PRIMARY KEY,
  name varchar NOT NULL,
  path varchar NOT NULL,
  type varchar NOT NULL CHECK (type IN ('User', 'Group')),
  parent_id bigint REFERENCES namespaces ON DELETE CASCADE,
  owner_id bigint REFERENCES users,
  visibility_level integer NOT NULL DEFAULT 0,
  description text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT now(),
  marked_for_deletion_on date);
CREATE INDEX ON namespaces (parent_id);
CREATE TABLE routes (
  id bigserial PRIMARY KEY,
  source_type varchar NOT NULL CHECK (source_type IN ('Namespace', 'Project')),
  source_id bigint NOT NULL,
  path varchar NOT NULL UNIQUE,
  UNIQUE (source_type, source_id));
CREATE UNIQUE INDEX ON routes (lower(path))";

const PROJECTS: &str = "
CREATE TABLE projects (
  id bigserial PRIMARY KEY,
  name varchar NOT NULL,
  path varchar NOT NULL,
  namespace_id bigint NOT NULL REFERENCES namespaces ON DELETE CASCADE,
  creator_id bigint NOT NULL REFERENCES users,
  description text NOT NULL DEFAULT '',
  visibility_level integer NOT NULL DEFAULT 0,
  repository_storage varchar NOT NULL DEFAULT 'default',
  disk_path varchar NOT NULL DEFAULT '',
  lfs_enabled boolean NOT NULL DEFAULT true,
  default_branch varchar,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_activity_at timestamptz NOT NULL DEFAULT now(),
  marked_for_deletion_at date,
  last_issue_iid integer NOT NULL DEFAULT 0,
  last_merge_request_iid integer NOT NULL DEFAULT 0);
CREATE INDEX ON projects (namespace_id)";

const MEMBERS_AND_TOKENS: &str = "
CREATE TABLE members (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  source_type varchar NOT NULL CHECK (source_type IN ('Namespace', 'Project')),
  source_id bigint NOT NULL,
  access_level integer NOT NULL,
  UNIQUE (user_id, source_type, source_id));
CREATE TABLE personal_access_tokens (
  id bigserial PRIMARY KEY,
  user_id bigint NOT NULL REFERENCES users,
  name varchar NOT NULL,
  token_digest varchar UNIQUE,
  scopes text[] NOT NULL,
  expires_at date NOT NULL,
  revoked boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  last_used_at timestamptz)";

const KEYS: &str = "
CREATE TABLE keys (
  id bigserial PRIMARY KEY,
  user_id bigint REFERENCES users,
  title varchar NOT NULL,
  key text NOT NULL,
  fingerprint_sha256 varchar NOT NULL UNIQUE,
  type varchar CHECK (type = 'DeployKey'),
  expires_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE deploy_keys_projects (
  deploy_key_id bigint NOT NULL REFERENCES keys ON DELETE CASCADE,
  project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
  can_push boolean NOT NULL DEFAULT false,
  PRIMARY KEY (deploy_key_id, project_id))";

const LFS: &str = "
CREATE TABLE lfs_objects (
  id bigserial PRIMARY KEY,
  oid varchar NOT NULL UNIQUE,
  size bigint NOT NULL,
  file varchar NOT NULL);
CREATE TABLE lfs_objects_projects (
  lfs_object_id bigint NOT NULL REFERENCES lfs_objects ON DELETE CASCADE,
  project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
  PRIMARY KEY (lfs_object_id, project_id))";

const ISSUES_AND_MERGE_REQUESTS: &str = "
CREATE TABLE issues (
  id bigserial PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
  iid integer NOT NULL,
  title varchar NOT NULL,
  description text,
  author_id bigint NOT NULL REFERENCES users,
  state varchar NOT NULL DEFAULT 'opened' CHECK (state IN ('opened', 'closed')),
  confidential boolean NOT NULL DEFAULT false,
  labels text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  closed_at timestamptz,
  UNIQUE (project_id, iid));
CREATE TABLE merge_requests (
  id bigserial PRIMARY KEY,
  target_project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
  iid integer NOT NULL,
  title varchar NOT NULL,
  description text,
  author_id bigint NOT NULL REFERENCES users,
  source_branch varchar NOT NULL,
  target_branch varchar NOT NULL,
  state varchar NOT NULL DEFAULT 'opened' CHECK (state IN ('opened', 'closed', 'locked', 'merged')),
  merge_status varchar NOT NULL DEFAULT 'preparing',
  merge_error text,
  diff_head_sha varchar,
  merge_commit_sha varchar,
  merge_user_id bigint REFERENCES users,
  should_remove_source_branch boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  prepared_at timestamptz,
  merged_at timestamptz,
  UNIQUE (target_project_id, iid))";

const UPLOADS_AND_PACKAGES: &str = "
CREATE TABLE uploads (
  id bigserial PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
  uploader_id bigint NOT NULL REFERENCES users,
  secret varchar NOT NULL,
  filename varchar NOT NULL,
  size bigint NOT NULL,
  checksum varchar NOT NULL,
  path varchar NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, secret, filename));
CREATE TABLE packages_packages (
  id bigserial PRIMARY KEY,
  project_id bigint NOT NULL REFERENCES projects ON DELETE CASCADE,
  name varchar NOT NULL,
  version varchar NOT NULL,
  package_type varchar NOT NULL DEFAULT 'generic',
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, package_type, name, version));
CREATE TABLE packages_package_files (
  id bigserial PRIMARY KEY,
  package_id bigint NOT NULL REFERENCES packages_packages ON DELETE CASCADE,
  file_name varchar NOT NULL,
  size bigint NOT NULL,
  file_sha256 varchar NOT NULL,
  file varchar NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())";

const EXPORTS: &str = "
CREATE TABLE project_export_jobs (
  project_id bigint PRIMARY KEY REFERENCES projects ON DELETE CASCADE,
  status varchar NOT NULL,
  export_file varchar)";

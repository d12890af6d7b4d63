"""A key that the node holds is never replaced."""

import json
import unittest

import plugins  # noqa: F401 - it makes the next line find the project's own
from ansible.module_utils import refarch_gitlab_secrets as gitlab_secrets

NODE = {"gitlab_rails": {"db_key_base": "a", "otp_key_base": "b"}, "letsencrypt": {"auto_enabled": True}}


class Secrets(unittest.TestCase):
    def test_the_same_keys_in_another_order(self):
        incoming = {"gitlab_rails": {"otp_key_base": "b", "db_key_base": "a"}}
        self.assertEqual(gitlab_secrets.compare(NODE, incoming), ([], []))

    def test_another_value_is_named_without_it(self):
        differing, added = gitlab_secrets.compare(NODE, {"gitlab_rails": {"db_key_base": "other"}})
        self.assertEqual((differing, added), (["gitlab_rails.db_key_base"], []))

    def test_a_list_is_one_value(self):
        node = {"gitlab_rails": {"keys": ["a", "b"]}}
        self.assertEqual(gitlab_secrets.compare(node, {"gitlab_rails": {"keys": ["a"]}})[0], ["gitlab_rails.keys"])

    def test_an_object_and_a_value_differ(self):
        node = {"gitaly": {"auth": {"token": "x"}}}
        self.assertEqual(gitlab_secrets.compare(node, {"gitaly": {"auth": "x"}})[0], ["gitaly.auth"])
        self.assertEqual(gitlab_secrets.compare({"gitaly": {"auth": "x"}}, node)[0], ["gitaly.auth.token"])

    def test_what_only_the_node_holds_stays_and_the_missing_is_added(self):
        incoming = {"gitlab_rails": {"db_key_base": "a"}, "gitaly": {"configuration": {"auth": {"token": "t"}}}}
        differing, added = gitlab_secrets.compare(NODE, incoming)
        self.assertEqual(differing, [])
        merged = gitlab_secrets.merge(NODE, incoming, added)
        self.assertEqual(merged, {**NODE, **{"gitaly": incoming["gitaly"]}})
        self.assertNotIn("gitaly", NODE)

    def test_node_local_values_may_differ(self):
        self.assertEqual(gitlab_secrets.compare(NODE, {"letsencrypt": {"auto_enabled": False}}), ([], []))

    def test_what_is_written_holds_both(self):
        written = gitlab_secrets.merged("here", json.dumps(NODE), json.dumps({"gitlab_pages": {"api_secret_key": "c"}}))
        self.assertEqual(json.loads(written), {**NODE, "gitlab_pages": {"api_secret_key": "c"}})
        self.assertEqual(json.loads(gitlab_secrets.merged("here", None, json.dumps(NODE))), NODE)
        self.assertIsNone(gitlab_secrets.merged("here", json.dumps(NODE), json.dumps(NODE)))

    def test_another_key_is_refused_by_its_name(self):
        with self.assertRaises(gitlab_secrets.Unusable) as refused:
            gitlab_secrets.merged("here", json.dumps(NODE), json.dumps({"gitlab_rails": {"db_key_base": "s3cret"}}))
        self.assertIn("gitlab_rails.db_key_base", str(refused.exception))
        self.assertNotIn("s3cret", str(refused.exception))

    def test_a_broken_file_is_refused_without_its_content(self):
        with self.assertRaises(gitlab_secrets.Unusable) as refused:
            gitlab_secrets.merged("here", '{"db_key_base": "s3cret"', json.dumps(NODE))
        self.assertNotIn("s3cret", str(refused.exception))


if __name__ == "__main__":
    unittest.main()

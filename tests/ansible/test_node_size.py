"""When a node counts as too small."""

import unittest

import plugins

plugins.from_folder("action")
import node_size

WANTED = {"vcpu": 8.0, "memory_gb": 16.0, "root_disk_gb": 50.0}


class Size(unittest.TestCase):
    def short(self, **found):
        return node_size.shortfalls({"vcpu": 8, "memory_gb": 16, "root_disk_gb": 50, **found}, WANTED)

    def test_the_wanted_size_and_what_a_kernel_leaves_of_it_are_enough(self):
        self.assertEqual(self.short(), [])
        self.assertEqual(self.short(memory_gb=14.4, root_disk_gb=45), [])

    def test_each_measure_can_fall_short(self):
        self.assertEqual(len(self.short(vcpu=7)), 1)
        self.assertEqual(len(self.short(memory_gb=14.3)), 1)
        self.assertEqual(len(self.short(root_disk_gb=44.9)), 1)

    def test_all_shortfalls_are_named_at_once(self):
        self.assertEqual(len(self.short(vcpu=1, memory_gb=1, root_disk_gb=1)), 3)


if __name__ == "__main__":
    unittest.main()

"""Airflow's listener, loaded as a plugin, with a real DAG run. Needs apache-airflow, and this package installed beside it."""

import unittest

from support import ExtraTest, snippet

RUN = """
import datetime, sys
sys.path.insert(0, "dags")
import etl
run = etl.etl_dag.test(logical_date=datetime.datetime(2026, 1, 21, tzinfo=datetime.timezone.utc))
print("RUN", run.run_id, run.state)
"""


class AirflowTest(ExtraTest):
    def test_tasks_of_a_dag_are_reported_by_the_plugin(self) -> None:
        home = self.directory / "airflow"
        dags = self.directory / "dags"
        dags.mkdir()
        (dags / "etl.py").write_text(snippet("airflow.md"))
        self.environment.update(
            AIRFLOW_HOME=str(home),
            AIRFLOW__CORE__DAGS_FOLDER=str(dags),
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{self.directory}/airflow.db",
        )
        migrated = self.run_python("-m", "airflow", "db", "migrate")
        self.assertEqual(migrated.returncode, 0, migrated.stderr)
        ran = self.run_python("-c", RUN)
        self.assertIn("RUN ", ran.stdout, ran.stderr)
        entries = {entry["metadata"]["task_id"]: entry for entry in self.entries(2)}
        self.assertEqual({name: entry["status"] for name, entry in entries.items()}, {"extract": "completed", "load": "failed"})
        extract, load = entries["extract"], entries["load"]
        self.assertEqual(extract["metadata"]["source_id"], f"{extract['plan_id']}/extract")
        self.assertEqual(extract["dispatch_info"]["agent_pool"], "default_pool")
        self.assertIn("cannot load 42 rows", str(load["execution_result"]["outcome"]["error"]))


if __name__ == "__main__":
    unittest.main()

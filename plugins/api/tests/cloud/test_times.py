"""Times that people ask for, over a store that holds only those that a database can."""

import pytest


@pytest.mark.parametrize("command", ["listEvents", "listAsyncJobs", "archiveEvents", "archiveAlerts"])
def test_the_first_and_the_last_time_there_are_may_be_asked_for(sql_cloud, command):
    """As people do who want everything."""
    sql_cloud(command, startdate="0001-01-01", enddate="9999-12-31 23:59:59")

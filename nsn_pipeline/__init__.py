"""Keeps ServiceNow's procurement and accounts-payable records in step with Oracle NetSuite."""

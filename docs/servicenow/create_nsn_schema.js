// First run: leave this true. It prints what would be done and changes nothing.
var DRY_RUN = true;

/*
 * Creates what profile `seed` of nsn_pipeline needs on a ServiceNow instance: its own tables
 * and columns (names that begin with u_) and the unique indexes on the external keys.
 *
 * How to run: System Definition > Scripts - Background, scope "global", as a user with role admin.
 * Create an update set first and make it the current one: everything below is captured in it, so
 * that it can be moved from a test instance to production, or backed out.
 * Run it as often as you like: what exists already is left alone. Nothing is ever deleted, and no
 * column that ServiceNow or somebody else made is changed.
 *
 * What it prints, one line each:
 *   CREATE / CREATED   a table or column of ours (would be / was made)
 *   UNIQUE             an index added to an external key that had none
 *   OK                 there already
 *   NOTE               there, but not as we would have made it: read it, it may be fine
 *   MISSING            not ours to create: a plug-in, or another table, see docs/connect-servicenow.md
 *   FAILED             tried, and not found afterwards
 *
 * The lists of tables and columns below are generated from the profile
 * (python -m nsn_pipeline.profiles.schema). For a profile of your own:
 *   python -m nsn_pipeline.profiles.schema --profile my.yaml --script > create_my_schema.js
 *
 * NOT done here, because it is a decision of your security team
 * (docs/connect-servicenow.md says which and why):
 *   - the integration user: time zone GMT, language English, "Web service access only",
 *     no password reset flag, active, not locked out;
 *   - its role. A role of your own, say u_nsn_integration, with access rules for
 *       read, create, write   on the tables marked "created and updated",
 *       read, write           on the tables marked "updated, never created",
 *       read                  on sys_user, sys_user_has_role, sys_db_object, sys_dictionary, sys_choice.
 *     Ready-made roles that cover part of it: procurement_user (proc_po, proc_po_item),
 *     personalize_dictionary (the dictionary), snc_platform_rest_api_access (when the REST
 *     endpoint rules are active);
 *   - the OAuth entity with this user as its OAuth Application User.
 */
(function () {
'use strict';

// --- generated from the profile: begin ---
var PROFILE = "seed";
// Types to create with, and types that serve where a column is there already.
var SERVES = {
  "string": ["string", "string_full_utf8", "url", "email", "phone_number_e164", "ph_number", "choice", "translated_text"],
  "boolean": ["boolean"],
  "glide_date_time": ["glide_date_time", "due_date", "glide_date"],
  "reference": ["reference"],
  "glide_date": ["glide_date"],
  "currency": ["currency", "price", "currency2", "fx_currency2_instance"],
  "decimal": ["decimal", "float", "floating", "integer"],
  "integer": ["integer", "longint"]
};
var TABLES = [
  {name: "itfm_gl_accounts", label: "Itfm GL accounts", columns: [
    {name: "account_number", label: "Account number", type: "string"},
    {name: "account_name", label: "Account name", type: "string", length: 255},
    {name: "active", label: "Active", type: "boolean", optional: true},
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40},
    {name: "u_active", label: "Active", type: "boolean"}
  ]},
  {name: "cmn_cost_center", label: "Cmn cost center", columns: [
    {name: "code", label: "Code", type: "string"},
    {name: "name", label: "Name", type: "string", length: 100},
    {name: "valid_from", label: "Valid from", type: "glide_date_time", optional: true},
    {name: "valid_to", label: "Valid to", type: "glide_date_time", optional: true},
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40},
    {name: "u_active", label: "Active", type: "boolean"}
  ]},
  {name: "core_company", label: "Core company", columns: [
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40, unique: true},
    {name: "name", label: "Name", type: "string", length: 255},
    {name: "vendor", label: "Vendor", type: "boolean"},
    {name: "phone", label: "Phone", type: "string", length: 40},
    {name: "website", label: "Website", type: "string", length: 1024},
    {name: "u_email", label: "Email", type: "string", length: 100},
    {name: "u_legal_name", label: "Legal name", type: "string", length: 255},
    {name: "u_netsuite_entity", label: "NetSuite entity", type: "string", length: 80},
    {name: "u_currency", label: "Currency", type: "string", length: 3},
    {name: "u_active", label: "Active", type: "boolean"},
    {name: "u_netsuite_url", label: "NetSuite link", type: "string", length: 1024}
  ]},
  {name: "proc_po", label: "Proc po", columns: [
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40, unique: true},
    {name: "vendor", label: "Vendor", type: "reference", reference: "core_company"},
    {name: "short_description", label: "Short description", type: "string", length: 160},
    {name: "po_date", label: "Po date", type: "glide_date"},
    {name: "due_by", label: "Due by", type: "glide_date_time"},
    {name: "status", label: "Status", type: "string", length: 40},
    {name: "u_netsuite_number", label: "NetSuite number", type: "string", length: 80},
    {name: "u_currency", label: "Currency", type: "string", length: 3},
    {name: "total_cost", label: "Total cost", type: "currency"},
    {name: "u_total_amount", label: "Total amount", type: "decimal", scale: 4},
    {name: "u_netsuite_url", label: "NetSuite link", type: "string", length: 1024}
  ]},
  {name: "proc_po_item", label: "Proc po item", columns: [
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40, unique: true},
    {name: "purchase_order", label: "Purchase order", type: "reference", reference: "proc_po"},
    {name: "short_description", label: "Short description", type: "string", length: 160},
    {name: "part_number", label: "Part number", type: "string", length: 100},
    {name: "ordered_quantity", label: "Ordered quantity", type: "decimal", scale: 8},
    {name: "received_quantity", label: "Received quantity", type: "decimal", scale: 8},
    {name: "cost", label: "Cost", type: "currency"},
    {name: "u_unit_price", label: "Unit price", type: "decimal", scale: 8},
    {name: "u_line_amount", label: "Line amount", type: "decimal", scale: 4},
    {name: "u_line_number", label: "Line number", type: "integer"},
    {name: "u_gl_account", label: "GL account", type: "reference", reference: "itfm_gl_accounts"},
    {name: "u_cost_center", label: "Cost center", type: "reference", reference: "cmn_cost_center"}
  ]},
  {name: "sn_apo_invoice", label: "Sn apo invoice", columns: [
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40, unique: true},
    {name: "supplier", label: "Supplier", type: "reference", reference: "core_company"},
    {name: "supplier_invoice_number", label: "Supplier invoice number", type: "string", length: 40},
    {name: "type", label: "Type", type: "string", length: 40},
    {name: "state", label: "State", type: "string", length: 40},
    {name: "purchase_order", label: "Purchase order", type: "reference", reference: "proc_po"},
    {name: "invoice_date", label: "Invoice date", type: "glide_date"},
    {name: "due_date", label: "Due date", type: "glide_date"},
    {name: "currency", label: "Currency", type: "string", length: 3},
    {name: "total_amount", label: "Total amount", type: "currency"},
    {name: "u_total_amount", label: "Total amount", type: "decimal", scale: 4},
    {name: "u_tax_amount", label: "Tax amount", type: "decimal", scale: 4},
    {name: "short_description", label: "Short description", type: "string", length: 160},
    {name: "u_netsuite_number", label: "NetSuite number", type: "string", length: 80},
    {name: "u_netsuite_url", label: "NetSuite link", type: "string", length: 1024}
  ]},
  {name: "sn_apo_invoice_line", label: "Sn apo invoice line", columns: [
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 40, unique: true},
    {name: "invoice", label: "Invoice", type: "reference", reference: "sn_apo_invoice"},
    {name: "line_number", label: "Line number", type: "integer"},
    {name: "short_description", label: "Short description", type: "string", length: 160},
    {name: "quantity", label: "Quantity", type: "decimal", scale: 8},
    {name: "unit_price", label: "Unit price", type: "decimal", scale: 8},
    {name: "line_amount", label: "Line amount", type: "currency"},
    {name: "u_line_amount", label: "Line amount", type: "decimal", scale: 4},
    {name: "is_tax", label: "Is tax", type: "boolean"},
    {name: "gl_account", label: "GL account", type: "reference", reference: "itfm_gl_accounts"},
    {name: "cost_center", label: "Cost center", type: "reference", reference: "cmn_cost_center"},
    {name: "purchase_order_line", label: "Purchase order line", type: "reference", reference: "proc_po_item"}
  ]},
  {name: "u_netsuite_gl_posting", label: "NetSuite GL posting", columns: [
    {name: "u_netsuite_id", label: "NetSuite ID", type: "string", length: 60, unique: true},
    {name: "u_netsuite_transaction", label: "NetSuite transaction", type: "string", length: 40},
    {name: "u_gl_account", label: "GL account", type: "reference", reference: "itfm_gl_accounts"},
    {name: "u_cost_center", label: "Cost center", type: "reference", reference: "cmn_cost_center"},
    {name: "u_supplier", label: "Supplier", type: "reference", reference: "core_company"},
    {name: "u_posting_date", label: "Posting date", type: "glide_date"},
    {name: "u_amount", label: "Amount", type: "decimal", scale: 4},
    {name: "u_debit", label: "Debit", type: "decimal", scale: 4},
    {name: "u_credit", label: "Credit", type: "decimal", scale: 4},
    {name: "u_currency", label: "Currency", type: "string", length: 3},
    {name: "u_book", label: "Book", type: "string", length: 40},
    {name: "u_document_type", label: "Document type", type: "string", length: 40},
    {name: "u_document_number", label: "Document number", type: "string", length: 80},
    {name: "u_subsidiary", label: "Subsidiary", type: "string", length: 100},
    {name: "u_description", label: "Description", type: "string", length: 255}
  ]}
];
// --- generated: end ---

var counts = {};

function say(what, text) {
  counts[what] = (counts[what] || 0) + 1;
  gs.print(what + '  ' + text);
}

// The global scope is called "rhino.global" by older releases and "global" by newer ones.
function inGlobalScope() {
  var scope = gs.getCurrentScopeName ? String(gs.getCurrentScopeName()) : 'global';
  return scope === 'global' || scope === 'rhino.global' || scope === 'null' || scope === '';
}

function isOurs(name) {
  return name.indexOf('u_') === 0;
}

function contains(list, value) {
  for (var i = 0; i < list.length; i++) {
    if (list[i] === value) {
      return true;
    }
  }
  return false;
}

// The table itself and everything it extends: the dictionary lists a column where it is defined.
function classChain(table) {
  var chain = [];
  var gr = new GlideRecord('sys_db_object');
  gr.addQuery('name', table);
  gr.query();
  while (gr.next()) {
    chain.push(String(gr.getValue('name')));
    var parent = gr.getValue('super_class');
    if (!parent || chain.length > 20) {
      break;
    }
    gr = new GlideRecord('sys_db_object');
    gr.addQuery('sys_id', parent);
    gr.query();
  }
  return chain;
}

function findColumn(chain, name) {
  for (var i = 0; i < chain.length; i++) {
    var gr = new GlideRecord('sys_dictionary');
    gr.addQuery('name', chain[i]);
    gr.addQuery('element', name);
    gr.query();
    if (gr.next()) {
      return gr;
    }
  }
  return null;
}

function createTable(table) {
  var gr = new GlideRecord('sys_db_object');
  gr.initialize();
  gr.setValue('name', table.name);
  gr.setValue('label', table.label);
  // Without it every REST call answers 400 or 403, whatever the role.
  gr.setValue('ws_access', true);
  // Access rules for create, read, write and delete, for a role named after the table.
  gr.setValue('create_access_controls', true);
  gr.insert();
}

function createColumn(tableName, column) {
  var gr = new GlideRecord('sys_dictionary');
  gr.initialize();
  gr.setValue('name', tableName);
  gr.setValue('element', column.name);
  gr.setValue('column_label', column.label);
  gr.setValue('internal_type', column.type);
  gr.setValue('active', true);
  if (column.length) {
    gr.setValue('max_length', column.length);
  }
  if (column.reference) {
    gr.setValue('reference', column.reference);
  }
  if (column.scale) {
    // A decimal column keeps two decimals by default: unit prices need more, and so do amounts in
    // currencies with three. Prove it with one record (docs/facts/assumptions.md, S9).
    gr.setValue('attributes', 'scale=' + column.scale);
  }
  if (column.unique) {
    gr.setValue('unique', true);
  }
  gr.insert();
}

function isTrue(value) {
  return value === true || value === 'true' || value === '1';
}

// A unique index cannot be made over values that repeat. Empty values do not count.
function repeatedValues(tableName, columnName) {
  var ga = new GlideAggregate(tableName);
  ga.addNotNullQuery(columnName);
  ga.addAggregate('COUNT', columnName);
  ga.groupBy(columnName);
  ga.addHaving('COUNT', columnName, '>', '1');
  ga.query();
  return ga.getRowCount();
}

function makeUnique(tableName, column, gr) {
  var where = tableName + '.' + column.name;
  var repeated = repeatedValues(tableName, column.name);
  if (repeated > 0) {
    say('FAILED', where + ': ' + repeated + ' values occur more than once; merge those records first');
    return;
  }
  say('UNIQUE', where + (DRY_RUN ? ' would become unique' : ' becomes unique'));
  if (DRY_RUN) {
    return;
  }
  gr.setValue('unique', true);
  gr.update();
  var after = findColumn([String(gr.getValue('name'))], column.name);
  if (!after || !isTrue(after.getValue('unique'))) {
    say('FAILED', where + ': still not unique. A plain index may be in the way: drop it under ' +
      'System Definition > Tables & Columns, then run this again');
  }
}

function checkColumn(tableName, column, gr) {
  var where = tableName + '.' + column.name;
  var type = String(gr.getValue('internal_type'));
  var length = parseInt(gr.getValue('max_length'), 10) || 0;
  var reference = String(gr.getValue('reference') || '');
  var fine = true;
  if (!contains(SERVES[column.type], type)) {
    fine = false;
    say('NOTE', where + ' is of type ' + type + ', wanted ' + column.type);
  }
  if (column.length && length && length < column.length) {
    fine = false;
    say('NOTE', where + ' holds ' + length + ' characters, the profile sends up to ' + column.length +
      ': widen the column, or lower text(' + column.length + ') in a profile of your own');
  }
  if (column.reference && reference !== column.reference) {
    fine = false;
    say('NOTE', where + ' refers to ' + (reference || 'nothing') + ', wanted ' + column.reference);
  }
  if (column.unique && !isTrue(gr.getValue('unique'))) {
    // Only a key column of ours is changed: an index on somebody else's column is their decision.
    if (isOurs(column.name)) {
      makeUnique(tableName, column, gr);
      return;
    }
    fine = false;
    say('NOTE', where + ' is the external key and has no unique index');
  }
  if (fine) {
    say('OK', where);
  }
}

function doColumn(tableName, chain, column, tableIsNew) {
  var where = tableName + '.' + column.name;
  var gr = tableIsNew && DRY_RUN ? null : findColumn(chain, column.name);
  if (gr) {
    checkColumn(tableName, column, gr);
    return;
  }
  if (!isOurs(column.name)) {
    if (column.optional) {
      say('NOTE', where + ' is absent and will be read as empty');
    } else {
      say('MISSING', where + ' (' + column.type + '): the table is not the one the profile means, ' +
        'or its plug-in is of another release. Name your own column in a profile of your own');
    }
    return;
  }
  say(DRY_RUN ? 'CREATE' : 'CREATED', where + ' ' + column.type +
    (column.length ? '(' + column.length + ')' : '') +
    (column.scale ? ' with ' + column.scale + ' decimals' : '') +
    (column.reference ? ' -> ' + column.reference : '') + (column.unique ? ' unique' : ''));
  if (DRY_RUN) {
    return;
  }
  createColumn(tableName, column);
  // The platform may refuse or rename without an error: only what is found counts.
  var made = findColumn(chain, column.name);
  if (!made) {
    say('FAILED', where + ' is not there after its creation');
  } else if (column.unique && !isTrue(made.getValue('unique'))) {
    makeUnique(tableName, column, made);
  }
}

function doTable(table) {
  var chain = classChain(table.name);
  var isNew = chain.length === 0;
  if (isNew && !isOurs(table.name)) {
    say('MISSING', table.name + ': no such table. Its plug-in is off, or this instance keeps these ' +
      'records elsewhere: see "Tables you do not have" in docs/connect-servicenow.md');
    return;
  }
  if (isNew) {
    say(DRY_RUN ? 'CREATE' : 'CREATED', 'table ' + table.name);
    if (!DRY_RUN) {
      createTable(table);
    }
    chain = DRY_RUN ? [table.name] : classChain(table.name);
    if (chain.length === 0) {
      say('FAILED', 'table ' + table.name + ' is not there after its creation');
      return;
    }
  } else {
    say('OK', 'table ' + chain.join(' extends '));
  }
  for (var i = 0; i < table.columns.length; i++) {
    doColumn(table.name, chain, table.columns[i], isNew);
  }
}

// Read only: the properties that decide whether the integration can log in and query safely.
function showProperties() {
  var names = [
    'com.snc.platform.security.oauth.is.active',
    'glide.oauth.inbound.client.credential.grant_type.enabled',
    'glide.invalid_query.returns_no_rows'
  ];
  for (var i = 0; i < names.length; i++) {
    gs.print('PROPERTY  ' + names[i] + ' = ' + gs.getProperty(names[i], '(not set)') + ', wanted true');
  }
}

if (!inGlobalScope()) {
  gs.print('STOPPED  run this in the global scope: in another one the names would get its prefix');
  return;
}
gs.print('Profile ' + PROFILE + (DRY_RUN ? ', dry run: nothing is changed' : ''));
for (var t = 0; t < TABLES.length; t++) {
  doTable(TABLES[t]);
}
showProperties();
var summary = [];
for (var kind in counts) {
  if (counts.hasOwnProperty(kind)) {
    summary.push(kind + ' ' + counts[kind]);
  }
}
gs.print('Done: ' + summary.join(', ') +
  (DRY_RUN ? '. Set DRY_RUN to false in the first line to carry it out.' : '.'));
}());

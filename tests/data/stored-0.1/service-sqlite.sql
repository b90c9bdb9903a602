BEGIN TRANSACTION;
CREATE TABLE panneuro_collaboration (
	id INTEGER NOT NULL, 
	since DATETIME NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	text TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "panneuro_collaboration" VALUES(1,'2026-11-27 09:30:00.000000','dad98a5e5164','name: example
title: Example collaboration
stores:
  main: {type: s3, bucket: lab, region: us-west-2, role_arn: "arn:aws:iam::000000000000:role/Data"}
teams:
  navigation-lab: {title: "Navigation µ", groups: ["u19-circuits:navigation"]}
projects:
  nhp-navigation: {title: Example''s project, store: main, prefix: nav/, teams: {navigation-lab: manage}}
profiles:
  small: {title: Small, cpu: 2, memory: 8G, price_per_hour: 0.12}
');
INSERT INTO "panneuro_collaboration" VALUES(2,'2026-11-27 09:31:00.000000','45cbcec15211','name: example
title: Renamed example
stores:
  main: {type: s3, bucket: lab, region: us-west-2, role_arn: "arn:aws:iam::000000000000:role/Data"}
teams:
  navigation-lab: {title: "Navigation µ", groups: ["u19-circuits:navigation"]}
projects:
  nhp-navigation: {title: Example''s project, store: main, prefix: nav/, teams: {navigation-lab: manage}}
profiles:
  small: {title: Small, cpu: 2, memory: 8G, price_per_hour: 0.12}
');
CREATE TABLE panneuro_ledger (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	event VARCHAR(16) NOT NULL, 
	person VARCHAR(255) NOT NULL, 
	project VARCHAR(63) NOT NULL, 
	session VARCHAR(64) NOT NULL, 
	reason TEXT NOT NULL, 
	grants JSON NOT NULL, 
	access_key_id VARCHAR(255), 
	expires DATETIME, 
	PRIMARY KEY (id)
);
INSERT INTO "panneuro_ledger" VALUES(1,'2026-11-27 09:30:00.000000','issue','ada','nhp-navigation','0f1e2d3c4b5a6978','you are in navigation-lab — “quotes” and µ','[["write", "s3://lab/nav/"], ["read", "s3://lab/stimuli/"]]','ASIAEXAMPLE1','2026-11-27 10:00:00.000000');
INSERT INTO "panneuro_ledger" VALUES(2,'2026-11-27 09:30:01.000000','refusal','','','','this ticket is of no session','[]',NULL,NULL);
INSERT INTO "panneuro_ledger" VALUES(3,'2026-11-27 09:30:02.000000','refusal','eve','human-memory','8796a5b4c3d2e1f0','you are in no team of human-memory','[]',NULL,NULL);
CREATE TABLE panneuro_login_confirmations (
	id VARCHAR(64) NOT NULL, 
	person VARCHAR(255) NOT NULL, 
	account VARCHAR(64) NOT NULL, 
	device VARCHAR(64) NOT NULL, 
	expires DATETIME NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "panneuro_login_confirmations" VALUES('22f961a07bdb6b3687101705968610d2eea34fb8720a6832d0ca09a3af57bf4e','eve','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','1f0dcb85a4320cc99382b17d6736d3391b66774c7ecb24a04e5874b0d1bfb371','2026-11-27 09:55:00.000000','confirmed');
INSERT INTO "panneuro_login_confirmations" VALUES('e116790882794968c158a42becbfe292b5a88bd5d03763d35c2cb809f78330fb','ada','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','80607525e7a90efc8531470a621160df34db015ce35d5c37f83d7002cb984cc1','2026-11-27 09:55:00.000000','decided');
INSERT INTO "panneuro_login_confirmations" VALUES('36c29a581015d0ba0ca7df6f4c8db65730a7c9541d84eafe7a68ad0965115f7a','eve','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee','70db0067b2f31e0cf09f802cfa4d6cb2646f7e27c8134068a0224a9d0d96929d','2026-11-27 09:55:00.000000','decided');
CREATE TABLE panneuro_login_requests (
	device VARCHAR(64) NOT NULL, 
	code VARCHAR(16) NOT NULL, 
	host VARCHAR(100) NOT NULL, 
	began DATETIME NOT NULL, 
	expires DATETIME NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	person VARCHAR(255), 
	account VARCHAR(64), 
	PRIMARY KEY (device), 
	UNIQUE (code)
);
INSERT INTO "panneuro_login_requests" VALUES('7dd9088f40171299c7838961121805e40684744d5bfb360c273c61e9088b62dd','QMQV-LDLS','rig-4','2026-11-27 09:45:00.000000','2026-11-27 09:55:00.000000','waiting',NULL,NULL);
INSERT INTO "panneuro_login_requests" VALUES('1f0dcb85a4320cc99382b17d6736d3391b66774c7ecb24a04e5874b0d1bfb371','CTXW-QVFV','rig-5','2026-11-27 09:45:00.000000','2026-11-27 09:55:00.000000','waiting',NULL,NULL);
INSERT INTO "panneuro_login_requests" VALUES('80607525e7a90efc8531470a621160df34db015ce35d5c37f83d7002cb984cc1','MGTL-CZKV','rig-6','2026-11-27 09:45:00.000000','2026-11-27 09:55:00.000000','allowed','ada','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO "panneuro_login_requests" VALUES('70db0067b2f31e0cf09f802cfa4d6cb2646f7e27c8134068a0224a9d0d96929d','BLXM-GZTW','rig-7','2026-11-27 09:45:00.000000','2026-11-27 09:55:00.000000','allowed','eve',NULL);
CREATE TABLE panneuro_logins (
	id VARCHAR(32) NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	person VARCHAR(255) NOT NULL, 
	account VARCHAR(64), 
	host VARCHAR(100) NOT NULL, 
	began DATETIME NOT NULL, 
	ends DATETIME NOT NULL, 
	used DATETIME, 
	PRIMARY KEY (id), 
	UNIQUE (token)
);
INSERT INTO "panneuro_logins" VALUES('c83373f26579369a','0ac627c9d6ca402960aa10302d2a47c127f8b43281665bfa2f569c12d3475f34','ada','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','rig-3','2026-11-27 09:30:00.000000','2026-12-27 09:30:00.000000','2026-11-27 09:30:00.000000');
INSERT INTO "panneuro_logins" VALUES('4a00456af8030ca1','d74d0c721a56a9a1b3dc874e077c18059cc802e3564f13f6ae8a52ac0446e379','eve',NULL,'old laptop','2026-11-27 09:30:00.000000','2026-12-27 09:30:00.000000',NULL);
CREATE TABLE panneuro_months (
	session VARCHAR(64) NOT NULL, 
	month VARCHAR(7) NOT NULL, 
	project VARCHAR(63) NOT NULL, 
	worker_seconds DOUBLE NOT NULL, 
	core_seconds DOUBLE NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	PRIMARY KEY (session, month)
);
INSERT INTO "panneuro_months" VALUES('1d69488f8c06f806','2026-11','nhp-navigation',2400.0,4800.0,0.08);
INSERT INTO "panneuro_months" VALUES('90ac6acc6009220c','2026-11','human-memory',600.0,600.0,0.02);
CREATE TABLE panneuro_register (
	id VARCHAR(64) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	person VARCHAR(255) NOT NULL, 
	account VARCHAR(64), 
	login VARCHAR(32), 
	project VARCHAR(63) NOT NULL, 
	profile VARCHAR(63) NOT NULL, 
	image VARCHAR(63), 
	price_per_hour DOUBLE NOT NULL, 
	gateway VARCHAR(255) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	ticket VARCHAR(64) NOT NULL, 
	began DATETIME NOT NULL, 
	expires DATETIME, 
	ended DATETIME, 
	reported DATETIME, 
	workers INTEGER NOT NULL, 
	cores DOUBLE NOT NULL, 
	memory BIGINT NOT NULL, 
	worker_seconds DOUBLE NOT NULL, 
	core_seconds DOUBLE NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "panneuro_register" VALUES('ddcb39bea20e1585','upload','ada','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','c83373f26579369a','nhp-navigation','',NULL,0.0,'','','e0057a33d7be9666061aa28df84d8e0b92b0cd271d70afb0587a4156ba8860b4','2026-11-27 09:30:00.000000','2026-11-28 09:30:00.000000',NULL,NULL,0,0.0,0,0.0,0.0,0.0);
INSERT INTO "panneuro_register" VALUES('1d69488f8c06f806','cluster','ada','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',NULL,'nhp-navigation','small','neuro',0.12,'dask-gateway','c-ada','603cc4f7fa3193fa35a3e5d6233b5ab6057a2065698f93d03c4795a2c34ad832','2026-11-27 09:30:00.000000',NULL,NULL,'2026-11-27 09:45:00.000000',4,2.0,8589934592,2400.0,4800.0,0.08);
INSERT INTO "panneuro_register" VALUES('90ac6acc6009220c','cluster','eve','eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee',NULL,'human-memory','small',NULL,0.12,'dask-gateway','c-eve','fec51c7eb70dec051920fb2504810d93d4b86513130917c934887301d4606c98','2026-11-27 09:30:00.000000',NULL,'2026-11-27 09:45:00.000000','2026-11-27 09:45:00.000000',1,1.0,1073741824,600.0,600.0,0.02);
INSERT INTO "panneuro_register" VALUES('8f2b2a5b1eea6079','upload','eve',NULL,NULL,'human-memory','',NULL,0.0,'','','01134979f32cc0f49754926d29da694dd081862f5ee19ce177373b3df5254bb7','2026-11-27 09:30:00.000000',NULL,NULL,NULL,0,0.0,0,0.0,0.0,0.0);
CREATE INDEX ix_panneuro_login_requests_expires ON panneuro_login_requests (expires);
CREATE INDEX ix_panneuro_login_confirmations_expires ON panneuro_login_confirmations (expires);
CREATE INDEX ix_panneuro_logins_person ON panneuro_logins (person);
CREATE INDEX ix_panneuro_register_person ON panneuro_register (person);
CREATE INDEX ix_panneuro_register_project ON panneuro_register (project);
CREATE INDEX ix_panneuro_register_login ON panneuro_register (login);
CREATE INDEX ix_panneuro_register_ended ON panneuro_register (ended);
CREATE INDEX ix_panneuro_register_gateway ON panneuro_register (gateway);
CREATE INDEX ix_panneuro_register_name ON panneuro_register (name);
CREATE INDEX ix_panneuro_months_month ON panneuro_months (month);
CREATE INDEX ix_panneuro_ledger_person ON panneuro_ledger (person);
CREATE INDEX ix_panneuro_ledger_at ON panneuro_ledger (at);
CREATE INDEX ix_panneuro_ledger_project ON panneuro_ledger (project);
COMMIT;

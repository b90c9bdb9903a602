CREATE TABLE panneuro_accounts (
	user_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	account VARCHAR(32) NOT NULL, 
	provider_name VARCHAR(255), 
	groups TEXT NOT NULL, 
	confirmed DATETIME, 
	PRIMARY KEY (user_id), 
	FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	UNIQUE (account)
);
INSERT INTO "panneuro_accounts" VALUES(1,'ada','f3ececc7113c610683ac92edeb839574','ada','["u19-circuits:irb-trained", "u19-circuits:navigation"]','2026-11-27 09:30:00.000000');
INSERT INTO "panneuro_accounts" VALUES(2,'eve','e807292c03a3bbdffdfb92775c0ff883',NULL,'[]',NULL);
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

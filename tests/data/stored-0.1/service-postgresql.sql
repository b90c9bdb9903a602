CREATE TABLE public.panneuro_collaboration (
    id integer NOT NULL,
    since timestamp without time zone NOT NULL,
    name character varying(64) NOT NULL,
    text text NOT NULL
);
CREATE SEQUENCE public.panneuro_collaboration_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.panneuro_collaboration_id_seq OWNED BY public.panneuro_collaboration.id;
CREATE TABLE public.panneuro_ledger (
    id integer NOT NULL,
    at timestamp without time zone NOT NULL,
    event character varying(16) NOT NULL,
    person character varying(255) NOT NULL,
    project character varying(63) NOT NULL,
    session character varying(64) NOT NULL,
    reason text NOT NULL,
    grants json NOT NULL,
    access_key_id character varying(255),
    expires timestamp without time zone
);
CREATE SEQUENCE public.panneuro_ledger_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.panneuro_ledger_id_seq OWNED BY public.panneuro_ledger.id;
CREATE TABLE public.panneuro_login_confirmations (
    id character varying(64) NOT NULL,
    person character varying(255) NOT NULL,
    account character varying(64) NOT NULL,
    device character varying(64) NOT NULL,
    expires timestamp without time zone NOT NULL,
    state character varying(16) NOT NULL
);
CREATE TABLE public.panneuro_login_requests (
    device character varying(64) NOT NULL,
    code character varying(16) NOT NULL,
    host character varying(100) NOT NULL,
    began timestamp without time zone NOT NULL,
    expires timestamp without time zone NOT NULL,
    state character varying(16) NOT NULL,
    person character varying(255),
    account character varying(64)
);
CREATE TABLE public.panneuro_logins (
    id character varying(32) NOT NULL,
    token character varying(64) NOT NULL,
    person character varying(255) NOT NULL,
    account character varying(64),
    host character varying(100) NOT NULL,
    began timestamp without time zone NOT NULL,
    ends timestamp without time zone NOT NULL,
    used timestamp without time zone
);
CREATE TABLE public.panneuro_months (
    session character varying(64) NOT NULL,
    month character varying(7) NOT NULL,
    project character varying(63) NOT NULL,
    worker_seconds double precision NOT NULL,
    core_seconds double precision NOT NULL,
    cost_usd double precision NOT NULL
);
CREATE TABLE public.panneuro_register (
    id character varying(64) NOT NULL,
    kind character varying(16) NOT NULL,
    person character varying(255) NOT NULL,
    account character varying(64),
    login character varying(32),
    project character varying(63) NOT NULL,
    profile character varying(63) NOT NULL,
    image character varying(63),
    price_per_hour double precision NOT NULL,
    gateway character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    ticket character varying(64) NOT NULL,
    began timestamp without time zone NOT NULL,
    expires timestamp without time zone,
    ended timestamp without time zone,
    reported timestamp without time zone,
    workers integer NOT NULL,
    cores double precision NOT NULL,
    memory bigint NOT NULL,
    worker_seconds double precision NOT NULL,
    core_seconds double precision NOT NULL,
    cost_usd double precision NOT NULL
);
ALTER TABLE ONLY public.panneuro_collaboration ALTER COLUMN id SET DEFAULT nextval('public.panneuro_collaboration_id_seq'::regclass);
ALTER TABLE ONLY public.panneuro_ledger ALTER COLUMN id SET DEFAULT nextval('public.panneuro_ledger_id_seq'::regclass);
INSERT INTO public.panneuro_collaboration VALUES (1, '2026-11-27 09:30:00', 'dad98a5e5164', 'name: example
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
INSERT INTO public.panneuro_collaboration VALUES (2, '2026-11-27 09:31:00', '45cbcec15211', 'name: example
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
INSERT INTO public.panneuro_ledger VALUES (1, '2026-11-27 09:30:00', 'issue', 'ada', 'nhp-navigation', '0f1e2d3c4b5a6978', 'you are in navigation-lab — “quotes” and µ', '[["write", "s3://lab/nav/"], ["read", "s3://lab/stimuli/"]]', 'ASIAEXAMPLE1', '2026-11-27 10:00:00');
INSERT INTO public.panneuro_ledger VALUES (2, '2026-11-27 09:30:01', 'refusal', '', '', '', 'this ticket is of no session', '[]', NULL, NULL);
INSERT INTO public.panneuro_ledger VALUES (3, '2026-11-27 09:30:02', 'refusal', 'eve', 'human-memory', '8796a5b4c3d2e1f0', 'you are in no team of human-memory', '[]', NULL, NULL);
INSERT INTO public.panneuro_login_confirmations VALUES ('4fe5ed1d0ca28e99296d49e9cee6c7d4959c7e8adaf7590f4612c35ff0c54a13', 'eve', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'a8562059ae099d217a4baf05bfb86a42c3c8348ba69bb4d76dd18d00086fb14b', '2026-11-27 09:55:00', 'confirmed');
INSERT INTO public.panneuro_login_confirmations VALUES ('717df708976612b005e9b17f51c19b1beeb8d18b029db45044fbcdf84db11a79', 'ada', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '75e6c533b20a436b72948445e6f7411f888b9c189b066750cdcf3cbfa3661a26', '2026-11-27 09:55:00', 'decided');
INSERT INTO public.panneuro_login_confirmations VALUES ('110a88fc57a0127e615c18b15269e8045c2d44b4bafbc49b03fafb45d0994548', 'eve', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'a8f3b6b10f4b1cd06f4db417c7d54f112da0fe36a499354d37c8dba65f46af06', '2026-11-27 09:55:00', 'decided');
INSERT INTO public.panneuro_login_requests VALUES ('9219d697f1be263593ba5f629d4f2bb458816742b77b491bd6733a74534d1c59', 'VRZR-MJQN', 'rig-4', '2026-11-27 09:45:00', '2026-11-27 09:55:00', 'waiting', NULL, NULL);
INSERT INTO public.panneuro_login_requests VALUES ('a8562059ae099d217a4baf05bfb86a42c3c8348ba69bb4d76dd18d00086fb14b', 'BSGH-FLLN', 'rig-5', '2026-11-27 09:45:00', '2026-11-27 09:55:00', 'waiting', NULL, NULL);
INSERT INTO public.panneuro_login_requests VALUES ('75e6c533b20a436b72948445e6f7411f888b9c189b066750cdcf3cbfa3661a26', 'GTMQ-ZSFQ', 'rig-6', '2026-11-27 09:45:00', '2026-11-27 09:55:00', 'allowed', 'ada', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
INSERT INTO public.panneuro_login_requests VALUES ('a8f3b6b10f4b1cd06f4db417c7d54f112da0fe36a499354d37c8dba65f46af06', 'HRWT-ZMCX', 'rig-7', '2026-11-27 09:45:00', '2026-11-27 09:55:00', 'allowed', 'eve', NULL);
INSERT INTO public.panneuro_logins VALUES ('29b3ae6c347a609c', '9b7adb8bb37436931d4c17793c396412918966e5ae4ac402bd25c0625ef12876', 'ada', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'rig-3', '2026-11-27 09:30:00', '2026-12-27 09:30:00', '2026-11-27 09:30:00');
INSERT INTO public.panneuro_logins VALUES ('229bfa802d6760c5', 'ba1143db3c57eaf82d03032ef7875cd45429cf706d34308bfa491c692e6371da', 'eve', NULL, 'old laptop', '2026-11-27 09:30:00', '2026-12-27 09:30:00', NULL);
INSERT INTO public.panneuro_months VALUES ('40c1672d16c4e42f', '2026-11', 'human-memory', 600, 600, 0.02);
INSERT INTO public.panneuro_months VALUES ('96349a022adcb5f2', '2026-11', 'nhp-navigation', 2400, 4800, 0.08);
INSERT INTO public.panneuro_register VALUES ('2cb74a48841511f6', 'upload', 'ada', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '29b3ae6c347a609c', 'nhp-navigation', '', NULL, 0, '', '', 'c1b91803db95b8fee4a7803b15530b721b3fccbb24b6ac04ab4ab9ae9bebda66', '2026-11-27 09:30:00', '2026-11-28 09:30:00', NULL, NULL, 0, 0, 0, 0, 0, 0);
INSERT INTO public.panneuro_register VALUES ('96349a022adcb5f2', 'cluster', 'ada', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', NULL, 'nhp-navigation', 'small', 'neuro', 0.12, 'dask-gateway', 'c-ada', 'e13e8ce34f61f3aa8e69b5a79c1aa36c29352ca4283fe007d1efd579f2162da6', '2026-11-27 09:30:00', NULL, NULL, '2026-11-27 09:45:00', 4, 2, 8589934592, 2400, 4800, 0.08);
INSERT INTO public.panneuro_register VALUES ('40c1672d16c4e42f', 'cluster', 'eve', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', NULL, 'human-memory', 'small', NULL, 0.12, 'dask-gateway', 'c-eve', '59f183cb497cff41d951f64e6720a4e25b77df6b80abfa6b967e6c02bf293483', '2026-11-27 09:30:00', NULL, '2026-11-27 09:45:00', '2026-11-27 09:45:00', 1, 1, 1073741824, 600, 600, 0.02);
INSERT INTO public.panneuro_register VALUES ('828054d246588078', 'upload', 'eve', NULL, NULL, 'human-memory', '', NULL, 0, '', '', '567dc32e3209baea48f24ecaa5cf198f8e2e4a10ba9ac3fdf238094aa2a97fcf', '2026-11-27 09:30:00', NULL, NULL, NULL, 0, 0, 0, 0, 0, 0);
SELECT pg_catalog.setval('public.panneuro_collaboration_id_seq', 2, true);
SELECT pg_catalog.setval('public.panneuro_ledger_id_seq', 3, true);
ALTER TABLE ONLY public.panneuro_collaboration
    ADD CONSTRAINT panneuro_collaboration_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.panneuro_ledger
    ADD CONSTRAINT panneuro_ledger_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.panneuro_login_confirmations
    ADD CONSTRAINT panneuro_login_confirmations_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.panneuro_login_requests
    ADD CONSTRAINT panneuro_login_requests_code_key UNIQUE (code);
ALTER TABLE ONLY public.panneuro_login_requests
    ADD CONSTRAINT panneuro_login_requests_pkey PRIMARY KEY (device);
ALTER TABLE ONLY public.panneuro_logins
    ADD CONSTRAINT panneuro_logins_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.panneuro_logins
    ADD CONSTRAINT panneuro_logins_token_key UNIQUE (token);
ALTER TABLE ONLY public.panneuro_months
    ADD CONSTRAINT panneuro_months_pkey PRIMARY KEY (session, month);
ALTER TABLE ONLY public.panneuro_register
    ADD CONSTRAINT panneuro_register_pkey PRIMARY KEY (id);
CREATE INDEX ix_panneuro_ledger_at ON public.panneuro_ledger USING btree (at);
CREATE INDEX ix_panneuro_ledger_person ON public.panneuro_ledger USING btree (person);
CREATE INDEX ix_panneuro_ledger_project ON public.panneuro_ledger USING btree (project);
CREATE INDEX ix_panneuro_login_confirmations_expires ON public.panneuro_login_confirmations USING btree (expires);
CREATE INDEX ix_panneuro_login_requests_expires ON public.panneuro_login_requests USING btree (expires);
CREATE INDEX ix_panneuro_logins_person ON public.panneuro_logins USING btree (person);
CREATE INDEX ix_panneuro_months_month ON public.panneuro_months USING btree (month);
CREATE INDEX ix_panneuro_register_ended ON public.panneuro_register USING btree (ended);
CREATE INDEX ix_panneuro_register_gateway ON public.panneuro_register USING btree (gateway);
CREATE INDEX ix_panneuro_register_login ON public.panneuro_register USING btree (login);
CREATE INDEX ix_panneuro_register_name ON public.panneuro_register USING btree (name);
CREATE INDEX ix_panneuro_register_person ON public.panneuro_register USING btree (person);
CREATE INDEX ix_panneuro_register_project ON public.panneuro_register USING btree (project);

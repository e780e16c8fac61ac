"""Stack definitions and cookbooks: from YAML to a frozen revision. Everything that is wrong with them is one StackError.

Nothing is imported here; import the module that has the name. YAML is parsed in `nodes.py` alone, pydantic stays in
`models`, `metadata` and `wording`.

loading     load_stack(path, *, search=()) -> Definition                  one StackError with all problems of it all
            parse_stack(text, *, file, directory, search=())              the same from text
            Definition: .stack (models.Stack) .cookbooks {name: Cookbook} .directory (the folder of the stack file)
            Definition.path(text) -> Path                                 "~/x", absolute, or relative to the stack file
models      Stack(stack, cookbooks, attributes, layers, instances, apps, metrics): frozen; .name is `stack`
            Layer(name, recipes, attributes, shutdown_timeout [s], drift, auto_heal)
            Recipes(setup, configure, deploy, undeploy, shutdown)
            Instance(layers, provider, transport, address, port, user, identity_file, ssh_config, connect_timeout, python,
                     become, bootstrap, report, attributes, settings)
            provider: static | container | ec2 (ec2_settings.py)   transport: ssh | local | dummy
            App(name, layers, source, environment, attributes, keep_releases)
            Source(type local | git | archive | s3, path, url, revision, ..): FIELDS_OF_SOURCE has the fields of each type
            Drift(interval [s], splay [s], policy, watch)
            Metrics(endpoint, region, period [s], namespace, report, access_key, secret_key, ca)
            Layers, instances and apps are mappings by name. Secrets stay SecretReference objects in every value.
run_list    run_list(stack, instance, event) -> ["cookbook::recipe", ..]  setup has the deploy recipes too
            apps_of(stack, instance) -> [app name, ..]                    apps whose layers the instance is in
            instances_of(stack, app) and instances_in(stack, layer) -> [instance name, ..]
attributes  merged_attributes(definition, instance, *, app=None, event_attributes=None) -> dict      secrets still references
            explain(definition, "shop.port", instance, *, app=None, event_attributes=None) -> Explanation
            Explanation: .path .value .winner .losers; Candidate: .level .name .value .position ("file:line:col")
            checks.check_event_attributes(definition, attributes, source) -> None    raises StackError
cookbooks   Cookbook(name, version, depends, supports, attributes, recipes, folder)  find_cookbooks(folders) -> {name: Cookbook}
            closure(cookbooks, names) -> [name ..]   manifest(folder) -> [[path, "0644" | "0755", sha256] ..]
            packaged_cookbooks() -> Path             packaged_stacks() -> Path
artifact    artifact(folder) -> Artifact(.content .sha256 .manifest .tree)    deterministic tar.gz of an app's local source
revision    freeze(path, *, search=(), fetch=None) -> Revision         fetch: control/sources' Fetcher; local sources need none
            Revision.sources {"shop": {"commit": ..}}        what fetched sources stood at
            Revision.stack .cookbooks .directory as in a Definition: a Revision may stand wherever a Definition is asked for
            Revision.to_dict() -> JSON data          Revision.load(dict) -> Revision (without .blobs: they are in the store)
            Revision.hash                            equal definitions and contents have equal hashes, wherever they lie
            Revision.manifests {tree hash: manifest} Revision.trees {"cookbook:nginx": tree hash, "app:shop": tree hash}
            Revision.trees_for(recipes, apps=()) -> {"cookbook:nginx": hash ..}   with all that the recipes' cookbooks depend on
            Revision.blobs [Blob(sha256, path | content) ..] .read() -> bytes     what the store has to keep
difference  compare(before, after: Revision, read(sha256) -> bytes) -> Difference(.values [ValueChange] .files [FileChange])
secrets     SecretReference(kind, name, key)         kinds: env, file, generated (and age, where pyrage is installed)
            Resolver(directory, *, base=Path, environ=os.environ): .resolve(value) -> value without references
            Resolver.values -> [str ..] to mask
            to_plain(value), from_plain(value)       {"!secret": "env:X"} in JSON
events      EVENTS {name: EventRule(name, recipe_events, every_app, limited)}; STATES (20 words)
snapshot    snapshot(definition, *, store, number, stack_id, instances {name: Standing},
            deploy=(apps), instance=None) -> RunRequest.snapshot; with `instance` it has the apps of that instance alone
            Standing(id, address, private_address, state)
            agent_settings(definition, instance, *, instance_id, stack_id, layer_ids) -> RunRequest.agent, unresolved
selectors   select(stack, "web1,layer:app,state:online", states {name: state}) -> [instance name ..]; SelectorError
schema      stack_schema() -> dict                   JSON schema for editors
"""

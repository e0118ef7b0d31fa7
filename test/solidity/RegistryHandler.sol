// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IProvenanceRegistry} from "../../contracts/interfaces/IProvenanceRegistry.sol";
import {ProvenanceRegistry} from "../../contracts/ProvenanceRegistry.sol";
import {RegistryActors} from "./RegistryFixture.sol";

/// @notice Four accounts and a recorder push to three repositories; the heads are followed apart from the contract
contract RegistryHandler is RegistryActors {
    bytes32[3] public repos;
    /// @notice Heads as the formula gives them
    mapping(bytes32 repo => bytes32) public heads;
    uint64 public batches;
    uint256 public moved;
    mapping(bytes32 repo => mapping(address account => bool)) private _writers;

    constructor(ProvenanceRegistry registry_) {
        registry = registry_;
        repos = [create(alice, "one"), create(alice, "two"), create(bob, "three")];
    }

    function setWriter(uint256 seed, bool allowed) external {
        bytes32 repo = repos[seed % 3];
        address account = accountOf(seed >> 8);
        vm.prank(registry.repositoryOwner(repo));
        registry.setWriter(repo, account, allowed);
        _writers[repo][account] = allowed;
    }

    function batch(uint256 seed, uint256 size) external {
        uint256 count = bound(size, 1, 6);
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](count);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 repo = repos[(seed >> i) % 3];
            pushes[i] = pushOn(repo, heads[repo], accountOf(seed >> i), seed ^ i);
            heads[repo] = headAfter(pushes[i]);
        }
        vm.prank(recorder);
        registry.commitBatch(none(), pushes);
        ++batches;
        moved += count;
    }

    /// @dev Right in all but one thing: the recorder, the predecessor or the number.
    function spoiltBatch(uint256 seed, bytes32 previous, uint40 seq) external {
        bytes32 repo = repos[seed % 3];
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](1);
        pushes[0] = pushOn(repo, heads[repo], alice, seed);
        address caller = recorder;
        uint256 kind = (seed >> 8) % 3;
        if (kind == 0) caller = accountOf(seed >> 16);
        if (kind == 1) pushes[0].previous = previous == heads[repo] ? ~previous : previous;
        if (kind == 2) pushes[0].seq = seq == pushes[0].seq ? seq ^ 1 : seq;
        vm.prank(caller);
        (bool done, ) = address(registry).call(abi.encodeCall(registry.commitBatch, (none(), pushes)));
        vm.assertTrue(!done, "a spoilt batch was taken");
    }

    function direct(uint256 seed, bool inOwnName) external {
        bytes32 repo = repos[seed % 3];
        address caller = accountOf(seed >> 8);
        address named = inOwnName ? caller : accountOf(seed >> 16);
        IProvenanceRegistry.Push memory push = pushOn(repo, heads[repo], named, seed);
        bool may = (caller == registry.repositoryOwner(repo) || _writers[repo][caller]) && named == caller;
        vm.prank(caller);
        (bool done, ) = address(registry).call(abi.encodeCall(registry.pushDirect, (push)));
        vm.assertEq(done, may);
        if (!done) return;
        heads[repo] = headAfter(push);
        ++moved;
    }

    function accountOf(uint256 seed) private view returns (address) {
        return [alice, bob, eve, address(0xCA401)][seed % 4];
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {IProvenanceRegistry} from "../../contracts/interfaces/IProvenanceRegistry.sol";
import {RegistryFixture} from "./RegistryFixture.sol";

/// @notice commitBatch and verifyInBatch
contract CommitBatchTest is RegistryFixture {
    function testFuzz_a_push_moves_the_head_as_the_formula_says(uint256 seed, address pusher) external {
        bytes32 repo = create(alice, "repo");
        bytes32 head = 0;
        for (uint256 i = 0; i < 3; ++i) {
            IProvenanceRegistry.Push memory push = pushOn(repo, head, pusher, seed ^ i);
            bytes32 next = headAfter(push);
            vm.expectEmit(address(registry));
            emit IProvenanceRegistry.PushRecorded(
                repo,
                push.seq,
                pusher,
                head,
                next,
                push.record,
                push.manifest,
                push.contributionsRoot,
                push.authors
            );
            vm.expectEmit(address(registry));
            emit IProvenanceRegistry.BatchCommitted(uint64(i + 1), leafOf(push), 1);
            commit(push);
            head = registry.headOf(repo);
            vm.assertEq(head, next);
            vm.assertEq(uint40(uint256(head)), i + 1);
            vm.assertEq(registry.batchRoots(uint64(i + 1)), leafOf(push));
        }
        vm.assertEq(registry.batchCount(), 3);
    }

    function test_registers_the_repositories_that_are_new() external {
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](2);
        pushes[0] = pushOn(idOf(own(alice), "one"), 0, alice, 1);
        pushes[1] = pushOn(idOf(own(bob), "two"), 0, bob, 2);
        IProvenanceRegistry.Registration[] memory fresh = new IProvenanceRegistry.Registration[](2);
        fresh[0] = registration(alice, "one");
        fresh[1] = registration(bob, "two");
        vm.prank(recorder);
        registry.commitBatch(fresh, pushes);
        vm.assertEq(registry.repositoryOwner(pushes[0].repo), alice);
        vm.assertEq(registry.repositoryOwner(pushes[1].repo), bob);
    }

    function test_exploit_an_owner_cannot_stop_a_batch_by_registering_first() external {
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](1);
        pushes[0] = pushOn(create(alice, "one"), 0, alice, 1);
        IProvenanceRegistry.Registration[] memory fresh = new IProvenanceRegistry.Registration[](1);
        fresh[0] = registration(alice, "one");
        vm.prank(recorder);
        registry.commitBatch(fresh, pushes);
        vm.assertEq(registry.headOf(pushes[0].repo), headAfter(pushes[0]));
    }

    function test_exploit_a_recorder_registers_nothing_in_a_foreign_namespace() external {
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](1);
        pushes[0] = pushOn(idOf(own(alice), "one"), 0, eve, 1);
        IProvenanceRegistry.Registration[] memory fresh = new IProvenanceRegistry.Registration[](1);
        fresh[0] = IProvenanceRegistry.Registration(own(alice), "one", eve);
        vm.prank(recorder);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotNamespaceOwner.selector, own(alice), eve));
        registry.commitBatch(fresh, pushes);
    }

    function testFuzz_exploit_only_recorders_commit(address account) external {
        vm.assume(account != recorder);
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](1);
        pushes[0] = pushOn(create(alice, "repo"), 0, alice, 1);
        vm.prank(account);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.NotRecorder.selector, account));
        registry.commitBatch(none(), pushes);
    }

    function test_exploit_a_replayed_batch_is_refused() external {
        bytes32 repo = create(alice, "repo");
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, alice, 1);
        commit(push);
        bytes32 head = registry.headOf(repo);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.HeadMoved.selector, repo, head, bytes32(0)));
        this.commitOutside(push);
        vm.assertEq(registry.batchCount(), 1);
    }

    function test_exploit_one_stale_push_leaves_no_part_of_its_batch() external {
        bytes32 one = create(alice, "one");
        bytes32 two = create(alice, "two");
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](2);
        pushes[0] = pushOn(one, 0, alice, 1);
        pushes[1] = pushOn(two, bytes32(uint256(7)), alice, 2);
        vm.prank(recorder);
        vm.expectRevert(
            abi.encodeWithSelector(IProvenanceRegistry.HeadMoved.selector, two, bytes32(0), bytes32(uint256(7)))
        );
        registry.commitBatch(none(), pushes);
        vm.assertEq(registry.headOf(one), bytes32(0));
    }

    function testFuzz_the_number_follows_the_head(uint40 seq) external {
        vm.assume(seq != 1);
        bytes32 repo = create(alice, "repo");
        IProvenanceRegistry.Push memory push = pushOn(repo, 0, alice, 1);
        push.seq = seq;
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.SeqMismatch.selector, repo, 1, seq));
        this.commitOutside(push);
    }

    function test_an_unknown_repository_is_refused() external {
        bytes32 repo = idOf(own(alice), "nowhere");
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.RepositoryUnknown.selector, repo));
        this.commitOutside(pushOn(repo, 0, alice, 1));
    }

    function test_an_empty_batch_is_refused() external {
        vm.prank(recorder);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.BatchEmpty.selector));
        registry.commitBatch(none(), new IProvenanceRegistry.Push[](0));
    }

    function test_sixteen_authors_are_listed_and_no_more() external {
        IProvenanceRegistry.Push memory push = pushOn(create(alice, "repo"), 0, alice, 1);
        push.authors = new IProvenanceRegistry.Author[](17);
        vm.expectRevert(abi.encodeWithSelector(IProvenanceRegistry.TooManyAuthors.selector, 16, 17));
        this.commitOutside(push);
        push.authors = new IProvenanceRegistry.Author[](16);
        commit(push);
    }

    function test_one_repository_may_be_pushed_to_twice_in_a_batch() external {
        bytes32 repo = create(alice, "repo");
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](2);
        pushes[0] = pushOn(repo, 0, alice, 1);
        pushes[1] = pushOn(repo, headAfter(pushes[0]), bob, 2);
        vm.prank(recorder);
        registry.commitBatch(none(), pushes);
        vm.assertEq(registry.headOf(repo), headAfter(pushes[1]));
    }

    function testFuzz_every_leaf_is_proven_in_its_batch_and_nothing_else(uint256 size, uint256 seed) external {
        uint256 count = bound(size, 1, 40);
        IProvenanceRegistry.Push[] memory pushes = new IProvenanceRegistry.Push[](count);
        bytes32[] memory leaves = new bytes32[](count);
        for (uint256 i = 0; i < count; ++i) {
            pushes[i] = pushOn(create(alice, Strings.toString(i)), 0, alice, seed ^ i);
            leaves[i] = leafOf(pushes[i]);
        }
        vm.prank(recorder);
        registry.commitBatch(none(), pushes);
        for (uint256 i = 0; i < count; ++i) {
            bytes32[] memory proof = proofOf(leaves, i);
            vm.assertTrue(registry.verifyInBatch(1, leaves[i], proof));
            vm.assertFalse(registry.verifyInBatch(2, leaves[i], proof));
            vm.assertFalse(registry.verifyInBatch(1, keccak256(abi.encode(leaves[i])), proof));
        }
    }

    function test_exploit_an_empty_root_proves_nothing() external view {
        vm.assertFalse(registry.verifyInBatch(1, bytes32(0), new bytes32[](0)));
    }

    function commitOutside(IProvenanceRegistry.Push memory push) external {
        commit(push);
    }

    /// @dev The siblings on the way from a leaf to the root; where there is none, the node moves up as it is.
    function proofOf(bytes32[] memory leaves, uint256 index) private pure returns (bytes32[] memory proof) {
        bytes32[] memory found = new bytes32[](8);
        uint256 length = 0;
        bytes32[] memory level = leaves;
        while (level.length > 1) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) found[length++] = level[sibling];
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                bytes32 left = level[2 * i];
                if (2 * i + 1 == level.length) {
                    above[i] = left;
                    continue;
                }
                bytes32 right = level[2 * i + 1];
                above[i] =
                    left < right ? keccak256(abi.encodePacked(left, right)) : keccak256(abi.encodePacked(right, left));
            }
            level = above;
            index /= 2;
        }
        proof = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) proof[i] = found[i];
    }
}
